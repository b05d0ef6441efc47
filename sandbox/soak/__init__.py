"""The bot as a process of its own, killed again and again while everything around it fails."""

from sandbox.soak.runner import Report, SoakPlan, soak

__all__ = ["Report", "SoakPlan", "soak"]
