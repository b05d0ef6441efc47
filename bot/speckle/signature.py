"""The signature of a Speckle webhook: hex HMAC-SHA256, without a prefix.

Since server 2.12.0 it is made over the whole body; before that, over the text inside "payload".
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence


def sign(body: bytes, secret: str) -> str:
    """Sign a body as a Speckle server does: 64 hex digits."""
    return _mac(secret, body).hexdigest()


def is_signed(parts: Iterable[bytes], signature: bytes, secrets: Sequence[str]) -> bool:
    """Say whether one of the secrets signed these bytes, in constant time.

    `parts` follow one another, such as those of the old form's text. An empty secret signs
    nothing: a Speckle server without a secret signs with an empty key, and so could anybody.
    """
    macs = [_mac(secret) for secret in secrets]
    for part in parts:
        for mac in macs:
            mac.update(part)
    return _is_one_of([mac.digest() for mac in macs], signature, secrets)


def signs(body: bytes, signature: bytes, secrets: Sequence[str]) -> bool:
    """The same for a whole body, in half the time."""
    macs = [hmac.digest(_key(secret), body, "sha256") for secret in secrets]
    return _is_one_of(macs, signature, secrets)


def _is_one_of(macs: Sequence[bytes], signature: bytes, secrets: Sequence[str]) -> bool:
    found = False
    for secret, mac in zip(secrets, macs, strict=True):
        # Both are bytes: compare_digest raises for text with characters beyond ASCII.
        equal = hmac.compare_digest(mac.hex().encode(), signature)
        found |= equal and secret != ""
    return found


def _mac(secret: str, begun: bytes = b"") -> hmac.HMAC:
    return hmac.new(_key(secret), begun, hashlib.sha256)


def _key(secret: str) -> bytes:
    # A lone surrogate, such as an environment variable can hold, must not raise.
    return secret.encode("utf-8", "surrogatepass")
