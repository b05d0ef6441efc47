"""config.toml, .env.example and docs/configuration.md say what the code says."""

import re
import tomllib
from pathlib import Path

from pydantic import BaseModel

from bot.config import (
    SECRET_MENDS,
    Settings,
    environment_names,
    load_settings,
    sections,
)
from bot.config.page import settings_page
from bot.db.tables import metadata

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (ROOT / "config.toml").read_text(encoding="utf-8")


def test_config_toml_holds_every_default(tmp_path: Path) -> None:
    assert load_settings(ROOT / "config.toml", tmp_path / ".env", {}) == Settings()


def test_config_toml_is_complete() -> None:
    said = tomllib.loads(CONFIG)
    plain = {name for name in environment_names().values() if name not in SECRET_MENDS}
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
