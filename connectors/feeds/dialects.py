"""The dialects of exchange platforms, one table (`dialects.yaml`), and the arithmetic they share.

What is not proved yet is marked in the table (`to_check`). Nothing here speaks over a wire.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, Literal

import yaml
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import ValidationError

from connectors.feeds import http_settings
from connectors.feeds.feed_settings import Strict
from schemas.errors import Invalid

Part = Literal["requester", "service", "time", "nonce", "signature"]
Meaning = Literal["renew", "again", "refused"]

TABLE = Path(__file__).with_name("dialects.yaml")


class Secret(Strict):
    """Where the working key is fetched, and how it is wrapped under the application's key."""

    path: http_settings.UrlPath
    at: http_settings.Path
    ends: http_settings.Path | None = None
    key: Literal["sha1prng", "utf8"] = "sha1prng"


class Body(Strict):
    """The platform's words for a page of rows under conditions."""

    page: str
    size: str
    where: str
    field: str
    logical: str
    value: str
    equals: str
    from_: str
    to: str
    fixed: Mapping[str, str]

    def condition(self, column: str, logical: str, value: str) -> dict[str, str]:
        """One condition on a column."""
        return {self.field: column, self.logical: logical, self.value: value}


class Dialect(Strict):
    """How one kind of platform is called."""

    title: str
    headers: Mapping[Part, http_settings.HeaderName]
    signs: tuple[Part, ...]
    call: http_settings.UrlPath
    secret: Secret | None = None
    body: Body
    code: http_settings.Path
    good: tuple[str, ...]
    errors: Mapping[str, Meaning]
    records: http_settings.Path
    total: http_settings.Path | None
    to_check: tuple[str, ...] = ()

    def signed(self, key: str, parts: Mapping[Part, str]) -> str:
        """The signature of a call: base64 of HMAC-SHA256 over the parts' text."""
        message = "".join(parts[part] for part in self.signs)
        return b64encode(hmac.digest(key.encode(), message.encode(), "sha256")).decode()


@cache
def dialects() -> Mapping[str, Mapping[str, Any]]:
    """The table, as it is written."""
    table: dict[str, dict[str, Any]] = yaml.safe_load(TABLE.read_text("utf-8"))
    return table


def dialect(name: str, says: Mapping[str, Any] | None = None) -> Dialect:
    """The dialect of that name, single words replaced. Raises `Invalid`."""
    table = dialects()
    if name not in table:
        raise Invalid(f"there is no dialect {name}; there are {', '.join(sorted(table))}")
    words = _over(table[name], says or {})
    words["body"] = {{"from": "from_"}.get(word, word): to for word, to in words["body"].items()}
    try:
        return Dialect.model_validate(words)
    except ValidationError as err:
        raise Invalid(f"dialect {name} does not take {dict(says or {})}: {err}") from err


def wrapped(secret: str, app_key: str, how: str) -> str:
    """A working key as a platform sends it: AES, ECB, PKCS #7, base64."""
    padder = PKCS7(128).padder()
    text = padder.update(secret.encode()) + padder.finalize()
    encryptor = _cipher(app_key, how).encryptor()
    return b64encode(encryptor.update(text) + encryptor.finalize()).decode()


def unwrapped(sealed: str, app_key: str, how: str) -> str:
    """The working key that a platform sent. Raises `ValueError` when it is not under our key."""
    decryptor = _cipher(app_key, how).decryptor()
    text = decryptor.update(b64decode(sealed)) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    return (unpadder.update(text) + unpadder.finalize()).decode()


def _cipher(app_key: str, how: str) -> Cipher[ECB]:
    return Cipher(AES(_aes_key(app_key, how)), ECB())  # noqa: S305 - the platforms' choice


def _aes_key(app_key: str, how: str) -> bytes:
    """Java's SHA1PRNG seeded with the key gives these sixteen bytes, or they are the key's own."""
    if how == "utf8":
        return app_key.encode()
    first = sha1(app_key.encode(), usedforsecurity=False).digest()
    return sha1(first, usedforsecurity=False).digest()[:16]


def _over(words: Mapping[str, Any], says: Mapping[str, Any]) -> dict[str, Any]:
    """`words` with those of `says` in their place, tables within tables too."""
    merged = dict(words)
    for word, to in says.items():
        inner = merged.get(word)
        if isinstance(inner, Mapping) and isinstance(to, Mapping):
            merged[word] = _over(inner, to)
        else:
            merged[word] = to
    return merged
