"""`python3 run.py demo`: the bot between a Discord and two Speckle servers, on this machine."""

from sandbox.demo.play import run_demo

__all__ = ["run_demo"]
