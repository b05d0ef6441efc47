"""/why and /events: what happened to a channel's events, in words for the people of the channel."""
