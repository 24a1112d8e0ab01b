"""What proves who asks a source: static keys in headers, and tokens for client credentials."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from urllib.parse import quote_plus

from connectors.feeds.http_json import at, whole
from connectors.feeds.http_settings import HttpPages
from connectors.feeds.http_wire import Credentials, Line, Question
from connectors.feeds.manifest import Manifest

EARLY_S = 30
"""A token is renewed that long before it ends, so that none ends on the way."""


def credentials_of(
    manifest: Manifest, settings: HttpPages, secrets: Mapping[str, str]
) -> Credentials:
    """The manifest's credentials. Raises `PermanentFailure` when a secret is not set."""
    keys = {name: manifest.secret(secrets, env) for name, env in settings.headers.items()}
    if settings.client_id is None or settings.client_secret is None:
        return StaticKeys(keys)
    client = manifest.secret(secrets, settings.client_id)
    return ClientToken(
        manifest, settings, client, manifest.secret(secrets, settings.client_secret), keys
    )


class StaticKeys:
    """Headers that stay the same."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = dict(keys)

    def headers(self, line: Line) -> Mapping[str, str]:
        """The keys."""
        return self._keys

    def renew(self) -> bool:
        """There is nothing to renew."""
        return False


class ClientToken:
    """A bearer token for client credentials (RFC 6749 4.4), fetched when it is missing or ends."""

    def __init__(
        self,
        manifest: Manifest,
        settings: HttpPages,
        client: str,
        secret: str,
        keys: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manifest = manifest
        self._settings = settings
        self._client, self._secret = client, secret
        self._keys = dict(keys)
        self._clock = clock
        self._lock = threading.Lock()
        self._token: str | None = None
        self._until: float | None = None

    def headers(self, line: Line) -> Mapping[str, str]:
        """The token, fetched first where that is due."""
        with self._lock:
            if self._token is None or (self._until is not None and self._clock() >= self._until):
                self._fetch(line)
            return {**self._keys, "Authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        """Forget the token; the next question fetches another."""
        with self._lock:
            self._token = None
        return True

    def _fetch(self, line: Line) -> None:
        asked_at = self._clock()
        said = line.ask(self._question(), signed=False).document
        token, lives = at(said, "access_token"), whole(at(said, "expires_in"))
        if (
            not isinstance(token, str)
            or not token.isascii()
            or not token.isprintable()
            or not token
        ):
            raise self._manifest.wrong("the token is no token")
        # RFC 6749 5.1: expires_in is only recommended; without it a 401 tells.
        self._until = None if lives is None else asked_at + max(lives - EARLY_S, lives / 2)
        self._token = token

    def _question(self) -> Question:
        form = {"grant_type": "client_credentials"}
        if self._settings.scope:
            form["scope"] = self._settings.scope
        if self._settings.credentials_in == "form":
            form |= {"client_id": self._client, "client_secret": self._secret}
        return Question(self._settings.token_path, method="POST", form=form, headers=self._basic())

    def _basic(self) -> dict[str, str]:
        """RFC 6749 2.3.1: both parts are form-encoded before they are joined."""
        if self._settings.credentials_in == "form":
            return {}
        pair = f"{quote_plus(self._client)}:{quote_plus(self._secret)}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
