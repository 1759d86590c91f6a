"""Continuation tokens: where in a listing the next page begins, in a form that only this hub can write.

A token holds the key of the last item of a page, not a count, so that it stays right while items come and go, and it
is sealed with the hub's own secret, so that it stays right over a restart and a made-up one is told from a real one.
"""

import base64
import binascii
import hashlib
import hmac
import json
import sqlite3
from collections.abc import Callable
from typing import Final

type Position = tuple[int | str, ...]

_SEAL_BYTES: Final = 8
_MAX_LENGTH: Final = 2048


class BadToken(ValueError):
    """A continuation token that this hub did not write for this listing."""


def kept_secret(connection: sqlite3.Connection, make: Callable[[], str]) -> bytes:
    """The secret in the task hub's file; made and written there when it has none."""
    row = connection.execute("SELECT secret FROM secrets WHERE name='page-tokens'").fetchone()
    if row is not None:
        return bytes(row[0])
    secret = make().encode()
    connection.execute("INSERT INTO secrets(name,secret) VALUES('page-tokens',?)", (secret,))
    return secret


class PageTokens:
    """Writes and reads tokens. `secret` is 1 to 64 bytes; tokens of another secret are not accepted."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, listing: str, position: Position) -> str:
        """The token of `position` in `listing`: ASCII, fit for a header."""
        text = json.dumps([listing, *position], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._seal(text) + text).decode("ascii").rstrip("=")

    def read(self, listing: str, token: str) -> Position:
        """The position that `write` was given. Raises `BadToken` for anything that it did not return."""
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            sealed = base64.b64decode(padded, altchars=b"-_", validate=True) if len(token) <= _MAX_LENGTH else b""
        except (UnicodeEncodeError, binascii.Error):
            sealed = b""
        seal, text = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(text)):
            raise BadToken("the continuation token is not one that this task hub gave out")
        of_listing, *position = json.loads(text)
        if of_listing != listing:
            raise BadToken(f"the continuation token belongs to a listing of {of_listing}, not of {listing}")
        return tuple(position)

    def _seal(self, text: bytes) -> bytes:
        return hashlib.blake2b(text, digest_size=_SEAL_BYTES, key=self._secret).digest()
