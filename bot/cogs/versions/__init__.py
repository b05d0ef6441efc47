"""/latest, /versions and /compare: versions as people look them up, and what changed in them."""
