"""Complete pages of a read that was killed, kept so that the next run goes on behind them.

Used only where the window still stands when the next run comes: the source's cursors are opaque
and named by itself (cursor, link), or its window is closed at both ends, and its credentials are
the same. A plain numbered snapshot is never kept: its pages shift when the source changes, and two
halves of two moments are no snapshot. It is read again from the first page.

The folder is `$YIZHAN_HOME/pages/<source>`, for this user alone, and every page is encrypted (AES
GCM) under a key that is derived from the source's own credentials: whoever could read them could
ask the source as well. A source without credentials keeps nothing. What is older than a day, of
another cursor, altered or torn is dropped; the ledger, not this folder, says what was loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.feeds.http_paging import Told, Turn
from connectors.feeds.source import Window

STANDS_S = 24 * 3600
"""How long a window that was begun is worth going on with."""


@dataclass(frozen=True)
class Page:
    """A page that came whole: where it was, what it claimed, its rows, and where to go on."""

    turn: Turn
    told: Told
    rows: pa.RecordBatch | None
    following: Turn | None


class Spool:
    """The pages of one source's read."""

    def __init__(self, folder: Path, source: str, secret: str) -> None:
        self._folder = folder / source
        self._source = source
        derived = HKDF(SHA256(), 32, salt=None, info=f"yizhan pages of {source}".encode())
        self._cipher = AESGCM(derived.derive(secret.encode()))
        self._planned: tuple[Window, str | None] | None = None

    def window(self, cursor: str | None) -> Window | None:
        """The window that was begun after `cursor`, if it still stands; else all is dropped."""
        said = self._opened(self._folder / "window")
        if said is None:
            self.drop()
            return None
        begun: dict[str, Any] = json.loads(said)
        fresh = 0 <= time.time() - begun["at"] < STANDS_S
        if not fresh or begun["cursor"] != cursor:
            self.drop()
            return None
        return Window(**begun["window"])

    def plan(self, window: Window, cursor: str | None) -> None:
        """Keep the pages of this window from now on; the first one begins a fresh folder."""
        self._planned = window, cursor

    def pages(self, window: Window) -> Iterator[Page]:
        """The window's pages, from the first; they end where one is missing, torn or altered."""
        said = None if self._planned else self._opened(self._folder / "window")
        if said is None or Window(**json.loads(said)["window"]) != window:
            self.drop()
            return
        number = 1
        while (said := self._opened(self._folder / f"{number:08d}")) is not None:
            yield _unpacked(said)
            number += 1

    def keep(self, page: Page) -> None:
        """Keep a page, if its window was planned here."""
        if self._planned:
            self._begin(*self._planned)
            self._planned = None
        if self._folder.exists():
            self._seal(self._folder / f"{page.turn.page:08d}", _packed(page))

    def drop(self) -> None:
        """Forget everything."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self, window: Window, cursor: str | None) -> None:
        self.drop()
        self._folder.mkdir(parents=True, mode=0o700)
        begun = {"at": time.time(), "cursor": cursor, "window": asdict(window)}
        self._seal(self._folder / "window", json.dumps(begun).encode())

    def _seal(self, path: Path, content: bytes) -> None:
        nonce = os.urandom(12)
        sealed = nonce + self._cipher.encrypt(nonce, content, path.name.encode())
        partial = path.with_name(f".{path.name}")
        with os.fdopen(
            os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
        ) as file:
            file.write(sealed)
        partial.rename(path)

    def _opened(self, path: Path) -> bytes | None:
        try:
            sealed = path.read_bytes()
            return self._cipher.decrypt(sealed[:12], sealed[12:], path.name.encode())
        except (OSError, InvalidTag, ValueError):
            return None


def _packed(page: Page) -> bytes:
    """A line of JSON, then the rows as an Arrow stream."""
    following = None if page.following is None else asdict(page.following)
    head = {"turn": asdict(page.turn), "told": asdict(page.told), "following": following}
    body = b""
    if page.rows is not None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, page.rows.schema) as writer:
            writer.write_batch(page.rows)
        body = sink.getvalue().to_pybytes()
    return json.dumps(head).encode() + b"\n" + body


def _unpacked(said: bytes) -> Page:
    head, _, body = said.partition(b"\n")
    found: dict[str, Any] = json.loads(head)
    following = found["following"]
    return Page(
        Turn(**found["turn"]),
        Told(**found["told"]),
        pa.ipc.open_stream(body).read_next_batch() if body else None,
        None if following is None else Turn(**following),
    )
