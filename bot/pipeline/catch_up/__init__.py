"""Fetches what happened while nobody listened."""
