"""/audit: who changed what in a server."""
