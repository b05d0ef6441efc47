"""The wheel: what somebody installs who has no checkout."""

import zipfile
from pathlib import Path

import pytest
from flit_core import buildapi

import bot
from bot import program

ROOT = Path(__file__).resolve().parents[1]


def test_a_wheel_holds_every_file_of_the_bot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # where a build backend looks for pyproject.toml
    with zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("bot/")}
        about = [name for name in wheel.namelist() if ".dist-info/" in name]
        told = {name.partition("/")[2]: wheel.read(name).decode() for name in about}
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("bot/**/*") if path.is_file()}
    assert packed == {name for name in files if not name.endswith(".pyc")}
    assert "bot/link_pages/templates/base.html" in packed
    assert f"{program.NAME}=bot.__main__:main" in told["entry_points.txt"]
    assert f"\nVersion: {bot.__version__}\n" in told["METADATA"]
