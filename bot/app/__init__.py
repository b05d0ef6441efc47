"""The only room that knows every other: builds all parts, hands each what it needs, runs them."""

from bot.app.life import App, run, running
from bot.app.timings import Timings

__all__ = ["App", "Timings", "run", "running"]
