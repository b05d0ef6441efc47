"""/status: how the bot is doing for a server."""
