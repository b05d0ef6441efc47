"""TOML that anybody may have written is read within bounds, or refused in words."""

from pathlib import Path

import pytest

from bot import toml_file
from bot.toml_file import NotToml, parse, read_text

HOSTILE = {
    "deep list": "a = " + "[" * 100_000 + "]" * 100_000,
    "deep table": "a = " + "{a=" * 50_000 + "1" + "}" * 50_000,
    "long key": ".".join("a" * 50_000) + " = 1",
    "long quoted key": " . ".join(['"a"'] * 50_000) + " = 1",
    "long header": "[" + ".".join("a" * 50_000) + "]",
    "no value": "a =",
    "long word": "a" * 100_000,
    "long word in quotes": f"a = '{'a-' * 100_000}",
    "long number": "a = " + "1" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_deeper_than_anybody_writes_is_refused(text: str) -> None:
    with pytest.raises(NotToml):
        parse(text)


def test_a_file_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotToml):
        read_text(Path("/dev/zero"))
    monkeypatch.setattr(toml_file, "MOST_BYTES", 10)
    path = tmp_path / "some.toml"
    path.write_bytes("\ufeffa = 'ä'".encode())
    with pytest.raises(NotToml):
        read_text(path)
    path.write_bytes("\ufeffa = 1".encode())
    assert parse(read_text(path)) == {"a": 1}
