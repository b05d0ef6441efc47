"""Which projects everybody may read. No I/O."""

PUBLIC = ("public", "unlisted")
"""The visibilities with which anybody who has the link may read a project."""
NOT_PUBLIC = "private"
"""How a project counts that a question without a token could not read."""
