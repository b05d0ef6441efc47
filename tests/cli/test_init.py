"""`init`: a folder that has nothing becomes one in which `check` says what is missing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from bot.settings import SECRET_HINTS, Settings, load_settings
from bot.settings.new_files import new_config_file

ROOT = Path(__file__).resolve().parents[2]


def init(folder: Path) -> str:
    command = [sys.executable, "-m", "bot", "init"]
    environ = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, check=True, text=True, timeout=30
    ).stdout


def test_an_empty_folder_gets_a_key_and_all_settings_and_keeps_them(tmp_path: Path) -> None:
    said = init(tmp_path)
    assert said.splitlines()[:2] == [".env is new.", "config.toml is new."]
    env, config = tmp_path / ".env", tmp_path / "config.toml"
    assert [path.stat().st_mode & 0o777 for path in (env, config)] == [0o600, 0o600]
    settings = load_settings(config, env, {})
    assert len(settings.encryption_keys) == 1
    assert settings.model_copy(update={"encryption_keys": ()}) == Settings()

    before = env.read_text()
    assert ".env is there already" in init(tmp_path)
    assert env.read_text() == before


def test_the_first_config_names_every_setting_with_its_default(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(re.sub(r"(?m)^#(\w+ = )", r"\1", new_config_file()), "utf-8")
    assert load_settings(config, tmp_path / ".env", {}) == Settings()
    assert tomllib.loads(config.read_text("utf-8")).keys() == (
        Settings.model_fields.keys() - SECRET_HINTS.keys()
    )
