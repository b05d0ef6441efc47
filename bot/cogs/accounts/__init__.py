"""/link, /unlink, /account and /privacy."""
