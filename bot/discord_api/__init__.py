"""The one way to Discord, but for commands: the client, sending, rate limits."""
