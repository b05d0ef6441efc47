"""config.toml, .env.example and docs/configuration.md say what the code says."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from bot.db.tables import metadata
from bot.discord_api.rate_limits import MAX_REFUSED
from bot.discord_api.send import LOOK_BACK, NONCE_KNOWN
from bot.http_server import Limits
from bot.http_server.limits import KIB, MIB, MOST_CONNECTIONS
from bot.pipeline.access import ASK_AGAIN_AFTER, AccessTimings
from bot.pipeline.batching import MAX_FILES_BYTES
from bot.pipeline.catch_up.from_history import LISTED_AT_MOST, CatchUpLimits
from bot.pipeline.ingest import PROJECTS_AT_ONCE
from bot.problems import TroubleKind
from bot.settings import SECRET_HINTS, Settings, environment_names, load_settings, sections
from bot.settings.docs_page import TROUBLES, settings_page
from bot.speckle.raw_json import MAX_DEPTH, MAX_TEXT_BYTES, MAX_VALUES, WINDOW

AT_ONCE_BYTES = CatchUpLimits().bodies_at_once_bytes
ROOT = Path(__file__).resolve().parents[2]
CONFIG = (ROOT / "config.toml").read_text(encoding="utf-8")


def test_config_toml_holds_every_default(tmp_path: Path) -> None:
    assert load_settings(ROOT / "config.toml", tmp_path / ".env", {}) == Settings()


def test_config_toml_is_complete() -> None:
    said = tomllib.loads(CONFIG)
    plain = {name for name in environment_names().values() if name not in SECRET_HINTS}
    assert said.keys() == plain | sections().keys()
    for name, model in sections().items():
        assert said[name].keys() == model.model_fields.keys()


def test_every_key_in_config_toml_has_a_comment() -> None:
    blocks = CONFIG.split("\n\n")[1:]
    assert all(block.startswith("#") or "\n#" in block for block in blocks)
    keys = [key for block in blocks for key in re.findall(r"^(\w+) =", block, re.MULTILINE)]
    assert len(keys) == len(set(keys)) == CONFIG.count(" = ")


def test_env_example_names_every_variable_and_can_be_used_as_it_is() -> None:
    path = ROOT / ".env.example"
    named = re.findall(r"^#?([A-Z_]+)=", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(environment_names())
    assert load_settings(ROOT / "config.toml", path, {}) == Settings()


def test_the_documented_settings_are_the_settings() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert page == settings_page(), "make pages"


def test_every_setting_is_described() -> None:
    models: list[type[BaseModel]] = [Settings, *sections().values()]
    fields = [f for model in models for f in model.model_fields.values()]
    undescribed = [f for f in fields if not f.description and f.annotation not in models]
    assert undescribed == []


def test_every_table_is_in_the_list_of_what_is_stored() -> None:
    page = (ROOT / "docs/security.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"\w+", row)]
    assert sorted(named) == sorted(metadata.tables)


@pytest.mark.parametrize(
    ("page", "phrase"),
    [
        ("security", f"in steps of {WINDOW // KIB} KiB"),
        ("security", f"{MAX_DEPTH} levels and {MAX_VALUES:,} values"),
        ("security", f"Texts of more than {MAX_TEXT_BYTES // KIB} KiB"),
        ("security", f"At most {MOST_CONNECTIONS} connections"),
        (
            "security",
            f"{Limits().head_s:.0f} s for a whole head, {Limits().body_s:.0f} s for a body",
        ),
        ("security", f"{Limits().idle_s:.0f} s between two requests"),
        ("security", f"Bodies share {Limits().body_bytes // MIB} MiB"),
        ("speckle", f"at most every {'ten' if ASK_AGAIN_AFTER.seconds == 600 else '?'} minutes"),
        ("reliability", f"after {NONCE_KNOWN.seconds} seconds the bot first looks"),
        ("reliability", f"{LOOK_BACK} messages came after it"),
        ("reliability", f"After {MAX_REFUSED:,} refused requests"),
        ("reliability", f"at most {LISTED_AT_MOST:,} entries"),
        ("reliability", f"reads at most {AT_ONCE_BYTES // MIB} MiB of bodies"),
        ("reliability", f"ten pictures and {MAX_FILES_BYTES // MIB} MiB together"),
        ("reliability", f"| {PROJECTS_AT_ONCE}, so up to {PROJECTS_AT_ONCE // 2} for one server |"),
        ("reliability", f"who is there, within {AccessTimings().discord_within_s:.0f} s"),
    ],
)
def test_numbers_in_the_docs_are_those_of_the_code(page: str, phrase: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert phrase in " ".join(text.split())


def test_each_trouble_that_the_operator_is_notified_of_is_documented() -> None:
    assert set(TROUBLES) == set(TroubleKind)
