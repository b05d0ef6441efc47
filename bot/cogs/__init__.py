"""The commands, one cog a subject: read the input, call one service, show the answer."""
