"""A short form of `python -m bench.fuzz`."""

from bench.fuzz import fuzz

SEED = 9


async def test_requests_that_are_wrong_in_every_way_harm_nothing() -> None:
    """The bot as a process, with all its parts; its first requests are those of the long form."""
    findings = await fuzz(SEED, range(300), senders=32)
    assert findings.wrong == [], f"seed {SEED}"
    assert findings.statuses["202"] > 30
    assert {"400", "401", "404", "415"} <= set(findings.statuses)
