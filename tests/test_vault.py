import pytest
from cryptography.fernet import Fernet

from bot.errors import SealError
from bot.vault import Vault


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_a_sealed_text_opens_in_its_context_and_shows_nothing() -> None:
    vault = Vault([new_key()])
    sealed = vault.seal("harbour secret", "hook:1:k")
    assert "harbour" not in sealed
    assert vault.open(sealed, "hook:1:k") == "harbour secret"


def test_a_sealed_text_does_not_open_in_another_context() -> None:
    vault = Vault([new_key()])
    sealed = vault.seal("harbour secret", "hook:1:k")
    vault.open(sealed, "hook:1:k")
    with pytest.raises(SealError, match="does not belong"):
        vault.open(sealed, "hook:2:k")


def test_after_a_rotation_old_texts_open_and_new_ones_need_the_new_key() -> None:
    old, new = new_key(), new_key()
    before = Vault([old]).seal("one", "c")
    rotated = Vault([new, old])
    assert rotated.open(before, "c") == "one"
    after = rotated.seal("two", "c")
    assert Vault([new]).open(after, "c") == "two"
    with pytest.raises(SealError, match="none of the keys can decrypt"):
        Vault([old]).open(after, "c")


@pytest.mark.parametrize("sealed", ["", "nonsense", "gAAAAA==", "ü" * 50])
def test_a_text_that_was_never_sealed_is_refused(sealed: str) -> None:
    with pytest.raises(SealError):
        Vault([new_key()]).open(sealed, "c")


@pytest.mark.parametrize("bad", ["swordfish-in-the-clear", "swordfish!" * 10, "", "schlüssel"])
def test_a_bad_key_is_named_by_its_place_and_never_shown(bad: str) -> None:
    with pytest.raises(SealError, match="encryption key 2") as caught:
        Vault([new_key(), bad])
    shown = f"{caught.value!r} {caught.value.__cause__!r}"
    assert not bad or bad not in shown


def test_no_key_at_all_is_refused() -> None:
    with pytest.raises(SealError, match="no encryption key"):
        Vault([])
