"""Starts the bot with nothing but Python: makes .venv, installs what is pinned, hands over.

python3 run.py demo | run | check | outbox | events; alone it lists them all
"""

# Every Python must be able to read this file, 2 included: too old a one then says a sentence
# instead of a syntax error. What it starts stands in bot/launch.py.
import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "This bot needs Python 3.11 or later, and this is Python %d.%d. Install a newer one "  # noqa: UP031
        "(https://www.python.org/downloads/) and start run.py with that." % sys.version_info[:2]
    )

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

    from bot.launch import main

    sys.exit(main(sys.argv[1:]))
