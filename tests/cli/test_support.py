"""The bundle for a report of a bug: secrets and names are planted everywhere and looked for."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import update

from bot.cli.support import write_bundle
from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.tables import inbox, outbox
from bot.errors import DatabaseCopyError
from bot.problems import SendProblem, SendReason
from bot.settings import OrganisationSettings, Settings
from bot.trace import TraceLine, TraceStep
from tests.db.filled import AT, LARGEST, ROWS, fill

PLANTED = "swordfish"
GUILD = 710_000_000_000_000_001
KEY = Fernet.generate_key().decode()
TOKEN = "MTE4MDAwMDAwMDAwMDAwMDAwMQ.GabcDe.kJ8sL0pQ2rT4vW6xY8zA1bC3dE5fG7hI9jK1lM"


def settings(database_url: str) -> Settings:
    """Settings with something of one's own in each; nobody answers at its addresses."""
    return Settings(
        database_url=database_url,
        discord_token=SecretStr(TOKEN),
        encryption_keys=(SecretStr(KEY),),
        speckle_token=SecretStr(f"{PLANTED}0123456789012345678901234567890123"),
        speckle_webhook_secret=SecretStr(f"{PLANTED}-of-the-hook"),
        speckle_servers=(f"http://{PLANTED}.localhost:9",),
        discord_api_url=f"http://127.0.0.1:9/{PLANTED}",
        public_url=f"http://{PLANTED}.localhost:9/{PLANTED}",
        http_proxy=f"http://{PLANTED}:{PLANTED}@127.0.0.1:9",
        https_proxy=f"http://{PLANTED}:{PLANTED}@127.0.0.1:9",
        no_proxy=(f"{PLANTED}.localhost",),
        organisation=OrganisationSettings(guilds=(GUILD,)),
    )


async def plant(database_url: str) -> None:
    """Rows in every table, whose own texts are known from those of the bot."""
    await fill(database_url, PLANTED)
    refused = SendReason(
        SendProblem.REFUSED, {"status": 400, "code": 50035, "words": PLANTED, "name": GUILD}
    )
    line = TraceLine(AT, PLANTED, TraceStep.FILTERED, {"model": PLANTED, "channel_id": GUILD})
    older = TraceLine(AT, PLANTED, f"{PLANTED} is not wanted", {PLANTED: 1})
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as session:
            of_first = outbox.c.id == 1
            session.execute(update(outbox).where(of_first).values(last_error=refused.to_stored()))
            trace = [line.to_json(), older.to_json(), [PLANTED], PLANTED, {PLANTED: PLANTED}]
            session.execute(update(inbox).where(inbox.c.id == 1).values(trace=trace))


def read(path: Path) -> tuple[str, dict[str, Any]]:
    with zipfile.ZipFile(path) as bundle:
        texts = {name: bundle.read(name).decode() for name in bundle.namelist()}
    files = {name: json.loads(text) for name, text in texts.items() if name.endswith(".json")}
    return "\n".join(texts.values()), files


async def test_nothing_that_is_anybodys_is_in_the_bundle(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPECKLE_PLANTED", PLANTED)
    await plant(database_url)
    path = tmp_path / "report.zip"
    await write_bundle(settings(database_url), path)
    text, _ = read(path)
    ids = (GUILD, *(LARGEST - number for number in range(ROWS)))
    hidden = (PLANTED, TOKEN, KEY, str(tmp_path), "localhost", "127.0.0.1", *map(str, ids))
    assert [one for one in hidden if one in text] == []
    assert path.stat().st_mode & 0o777 == 0o600


async def test_it_says_what_a_report_needs(database_url: str, tmp_path: Path) -> None:
    await plant(database_url)
    bundles = []
    for name in ("one.zip", "other.zip"):
        await write_bundle(settings(database_url), tmp_path / name)
        bundles.append(read(tmp_path / name)[1])
    one, other = bundles
    assert one["settings.json"]["webhook_port"] == 8003
    assert one["settings.json"]["discord_token"] == "set"
    assert one["settings.json"]["organisation"] == {"guilds": "1 of them"}
    assert one["database.json"]["rows"]["subscriptions"] == ROWS
    assert one["database.json"]["states"]["outbox.state"] == {
        "waiting": 1,
        "sent": 1,
        "undeliverable": 1,
    }
    failed = one["failures.json"][-1]
    assert (failed["why"], failed["code"]) == ("refused", 50035)
    assert [step["step"] for step in one["events.json"][-1]["steps"]] == ["filtered", "other"]
    assert {row["line"]: row["mark"] for row in one["check.json"]}["Discord token"] == "BAD"
    assert failed["server"] != other["failures.json"][-1]["server"]


async def test_a_file_that_is_there_is_left_alone(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    path.write_text("a letter")
    with pytest.raises(DatabaseCopyError):
        await write_bundle(settings(database_url), path)
    assert path.read_text() == "a letter"


async def test_what_is_broken_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "report.zip"
    broken = {"database_url": f"sqlite:///{tmp_path / PLANTED / 'bot.db'}"}
    broken["ssl_cert_file"] = f"/{PLANTED}"
    await write_bundle(settings("sqlite:///a").model_copy(update=broken), path)
    text, files = read(path)
    assert PLANTED not in text
    assert files["database.json"] == {"cannot be read": "StorageUnavailable"}
