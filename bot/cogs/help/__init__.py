"""/help: what the bot can do, for the person who asks."""
