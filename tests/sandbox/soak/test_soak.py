"""The promises, kept by a process that is killed at any moment amid faults: a soak in short.

The long form is `python3 run.py soak`. A run that fails says how to do it again.
"""

from sandbox.soak import SoakPlan, soak
from tests.conftest import PostgresServer

RATE = 300.0
SEED = 20  # any would do; a fixed one makes the runs alike
LIVES_S = (0.3, 2.0)  # a little shorter than in the long form


async def test_twelve_kills_over_sqlite_lose_and_double_nothing() -> None:
    report = await soak(SoakPlan(12, SEED, RATE, lives_s=LIVES_S))
    assert report.broken == [], str(report)
    assert report.kills == 12
    assert report.shown >= report.owed > 300


async def test_six_kills_over_postgresql_lose_and_double_nothing(postgres: PostgresServer) -> None:
    name = postgres.new_database()
    report = await soak(SoakPlan(6, SEED, RATE, postgres.url(name), lives_s=LIVES_S))
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert report.broken == [], str(report)
    assert report.kills == 6
    assert report.shown >= report.owed > 100
