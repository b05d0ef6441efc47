"""Hears of what happens in projects through their people's accounts, without any webhook."""
