"""Secrets: made here, and sealed for the database with keys that can be rotated."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.errors import SealError

OPENED_KEPT = 1024  # opened secrets kept in memory, so that not every webhook decrypts again
SECRET_BYTES = 32


def fresh_secret() -> str:
    """A secret that nobody knows."""
    return secrets.token_urlsafe(SECRET_BYTES)


class Vault:
    """Seals texts with the first key and opens them with any of the keys.

    Errors: SealError for keys that are none; its text names the key's place, never the key.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise SealError("there is no encryption key")
        fernets = [_fernet(key, n) for n, key in enumerate(keys, start=1)]
        self._first, self._fernets = fernets[0], MultiFernet(fernets)
        # Says which key it is, and nothing about it: keys are random.
        self.first_key_id = hashlib.sha256(keys[0].encode()).hexdigest()[:16]
        self._opened = lru_cache(maxsize=OPENED_KEPT)(self._decrypt)

    def seal(self, text: str, context: str) -> str:
        """Seal a text so that it opens only where `context` says that it belongs."""
        return self._fernets.encrypt(json.dumps([context, text]).encode()).decode()

    def open(self, sealed: str, context: str) -> str:
        """Open a sealed text.

        Errors: SealError if no key opens it, or if it was sealed for another context.
        """
        sealed_for, text = self._opened(sealed)
        if sealed_for != context:
            raise SealError("a sealed value is where it does not belong")
        return text

    def reseal(self, sealed: str) -> str | None:
        """The same text sealed under the first key; None if that seals it already.

        Errors: SealError if no key opens it.
        """
        try:
            self._first.decrypt(sealed)
        except (InvalidToken, ValueError):
            try:
                return self._fernets.rotate(sealed).decode()
            except (InvalidToken, ValueError):
                raise SealError("none of the keys can decrypt what is stored") from None
        return None

    def _decrypt(self, sealed: str) -> tuple[str, str]:
        try:
            sealed_for, text = json.loads(self._fernets.decrypt(sealed))
        except (InvalidToken, ValueError):  # ValueError: the text was never sealed
            raise SealError("none of the keys can decrypt what is stored") from None
        return sealed_for, text


def _fernet(key: str, number: int) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        # The cause would not quote the key today; nothing says that it never will.
        raise SealError(
            f"encryption key {number} is not a key: 32 bytes in URL-safe base64, 44 characters"
        ) from None
