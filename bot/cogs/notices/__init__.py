"""What the bot says of channels that it paused, and of quotas that are used up."""
