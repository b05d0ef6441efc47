"""The bot as a process of its own, killed again and again while everything around it fails."""

from bot.soak.course import Plan, Report, soak

__all__ = ["Plan", "Report", "soak"]
