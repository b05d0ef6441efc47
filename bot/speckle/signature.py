"""The signature of a Speckle webhook: hex HMAC-SHA256, without a prefix.

Since server 2.12.0 it is made over the whole body; before that, over the text inside "payload".
"""

import hashlib
import hmac
from collections.abc import Sequence


def sign(body: bytes, secret: str) -> str:
    """Sign a body as a Speckle server does: 64 hex digits."""
    return hmac.new(_bytes(secret), body, hashlib.sha256).hexdigest()


def is_signed(
    body: bytes, inner_text: str | None, signature: bytes, secrets: Sequence[str]
) -> bool:
    """Say whether one of the secrets signed the body, or the text inside it, in constant time.

    `inner_text` is the old form's text, None for the new form alone. An empty secret signs
    nothing: a Speckle server without a secret signs with an empty key, and so could anybody.
    """
    messages = [body] if inner_text is None else [body, _bytes(inner_text)]
    found = False
    for secret in secrets:
        for message in messages:
            expected = hmac.new(_bytes(secret), message, hashlib.sha256).hexdigest().encode()
            # Both are bytes: compare_digest raises for text with characters beyond ASCII.
            equal = hmac.compare_digest(expected, signature)
            found |= equal and secret != ""
    return found


def _bytes(text: str) -> bytes:
    """UTF-8; a lone surrogate, which has none, must not raise and matches nothing."""
    return text.encode("utf-8", "surrogatepass")
