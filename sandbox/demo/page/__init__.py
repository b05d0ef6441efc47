"""The try-out's page: a Discord, a Speckle, the way of an event and trouble by switch."""
