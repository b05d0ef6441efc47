"""Discord servers that come and go."""
