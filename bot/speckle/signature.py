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
    found = False
    for secret, mac in zip(secrets, macs, strict=True):
        # Both are bytes: compare_digest raises for text with characters beyond ASCII.
        equal = hmac.compare_digest(mac.hexdigest().encode(), signature)
        found |= equal and secret != ""
    return found


def _mac(secret: str, begun: bytes = b"") -> hmac.HMAC:
    # A lone surrogate, such as an environment variable can hold, must not raise.
    return hmac.new(secret.encode("utf-8", "surrogatepass"), begun, hashlib.sha256)
