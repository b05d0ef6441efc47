"""The commands of `python -m bot`, but for those that only start something."""
