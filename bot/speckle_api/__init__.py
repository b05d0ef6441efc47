"""The one way to a Speckle server."""
