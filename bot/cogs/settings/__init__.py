"""/settings: what a server sets for itself."""
