"""Signs calls to an exchange platform, and fetches the working key that signs them.

Two steps, where the dialect has them: the application's key signs a request for the working key,
which comes wrapped under that same key; the working key signs the calls until it ends.
"""

from __future__ import annotations

import secrets as random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.feeds.dialects import Dialect, Part, Secret, unwrapped
from connectors.feeds.http_json import at
from connectors.feeds.http_wire import Line, Question
from connectors.feeds.manifest import Manifest

EARLY_S = 30
"""A working key is renewed that long before it ends."""


class SignedHeaders:
    """The credentials of one service at one platform."""

    def __init__(
        self,
        manifest: Manifest,
        dialect: Dialect,
        *,
        service: str,
        requester: str,
        app_key: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._manifest = manifest
        self._dialect = dialect
        self._service, self._requester, self._app_key = service, requester, app_key
        self._clock = clock
        self._lock = threading.Lock()
        self._key: str | None = None
        self._until: float | None = None

    def headers(self, line: Line) -> Mapping[str, str]:
        """A fresh signature; the working key is fetched first where that is due."""
        with self._lock:
            return self._signed(self._working_key(line))

    def renew(self) -> bool:
        """Forget the working key; False where the dialect has none to fetch."""
        with self._lock:
            self._key = None
        return self._dialect.secret is not None

    def _working_key(self, line: Line) -> str:
        if self._dialect.secret is None:
            return self._app_key
        ended = self._until is not None and self._clock() >= self._until - EARLY_S
        if self._key is None or ended:
            self._fetch(line, self._dialect.secret)
        assert self._key is not None
        return self._key

    def _fetch(self, line: Line, secret: Secret) -> None:
        body = self._signed(self._app_key)
        said = line.ask(Question(secret.path, method="POST", json=body), signed=False).document
        code = str(at(said, self._dialect.code))[:40]
        if code not in self._dialect.good:
            raise self._manifest.wrong(
                f"the platform answers {code} when we ask for the working key: check the "
                "application key, and our clock"
            )
        try:
            self._key = unwrapped(str(at(said, secret.at)), self._app_key, secret.key)
        except ValueError:
            raise self._manifest.wrong(
                "the working key is not wrapped under our application key"
            ) from None
        self._until = _moment(at(said, secret.ends)) if secret.ends else None

    def _signed(self, key: str) -> dict[str, str]:
        parts: dict[Part, str] = {
            "requester": self._requester,
            "service": self._service,
            "time": str(int(self._clock() * 1000)),
            "nonce": random.token_hex(16),
        }
        parts["signature"] = self._dialect.signed(key, parts)
        return {header: parts[part] for part, header in self._dialect.headers.items()}


def _moment(said: object) -> float | None:
    """When a key ends: milliseconds, or a local date and time; None where nobody can tell."""
    if not isinstance(said, str):
        return None
    if said.isascii() and said.isdigit() and len(said) < 16:
        return int(said) / 1000
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("Asia/Shanghai"))
    return zoned.timestamp()
