"""Brings a Speckle server's project events into Discord channels."""

__version__ = "0.1.0"
