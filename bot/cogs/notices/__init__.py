"""/notices, and what the bot says of channels that it paused."""
