"""The conversation of a client with the hub, without the sending: what to say next, what it proved.

Part of the SDK. Each conversation is a generator: it gives what is to be sent and is given what
came back, so the synchronous and the asynchronous client hold the very same one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from connectors import client_signing as signing
from connectors.client_keys import (
    Credentials,
    PublicKey,
    public_half,
    public_key,
    thumbprint,
    write,
)
from connectors.client_receipts import Receipts
from connectors.client_signing import AnswerNotVerified, Came, Sent
from schemas.errors import Invalid, Refused, Unavailable, YizhanError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EARLY_SECONDS = 20  # a token is renewed that long before it ends
TOKEN = "/v1/token"  # noqa: S105 - an address
KEYS = "/v1/keys"
NEXT_KEY = "/v1/client/keys"
SAFE = "/?&=%:@!$'()*+,;-._~"  # what is signed is what goes over the wire (RFC 3986)

Clock = Callable[[], float]
Result = TypeVar("Result")
Conversation = Generator[Sent, Came, Result]


class ProblemAnswer(YizhanError):
    """The exchange said no; `problem` is its document (RFC 9457)."""

    code = "problem"
    problem: Mapping[str, Any]


class CallRefused(ProblemAnswer, Refused):
    """A rule refused; `rule` names it."""


class CallInvalid(ProblemAnswer, Invalid):
    """The call does not fit; it will not without a change."""


class HubUnavailable(ProblemAnswer, Unavailable):
    """Try again: the same call may work later."""


class Session:
    """What a client knows between calls: its token, the hub's keys, and where receipts go."""

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        receipts: str | Path | None = None,
        source: Path | None = None,
    ) -> None:
        self.credentials = credentials
        self._source = source
        self._read_at = _changed(source)
        self.receipts = Receipts(Path(receipts)) if receipts is not None else None
        self.clock = clock
        self._held = ("", 0.0)  # the token and when it ends, as one: threads may share a session
        self._hub = _named(credentials.hub_keys)

    def call(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> Conversation[Came]:
        """Make one call, signed; the answer is proved to be the hub's. Raises as `Client.query`.

        What a gateway says when the hub does not answer is not signed: it is `HubUnavailable`.
        """
        token = yield from self.token()
        if not self._hub:
            yield from self._learn()
        url = self.credentials.base_url + quote(path, safe=SAFE)
        at = int(self.clock())
        sent = signing.signed_call(self.credentials, method, url, content, token, headers, at)
        came = yield sent
        if "signature" not in came.headers and came.status in (429, 502, 503, 504):
            raise problem(came)
        if signing.named_key(came) not in self._hub:
            yield from self._learn()
        told = signing.verified(came, sent, self._hub)
        if self.receipts is not None:
            self.receipts.keep(sent, came, told, at)
        return came

    def token(self) -> Conversation[str]:
        """An access token that lives for a while yet."""
        token, ends = self._held
        if self.clock() > ends - EARLY_SECONDS:
            self._read_again()
            issued = answered((yield self._token_call()))
            token = str(issued["access_token"])
            self._held = (token, self.clock() + int(issued["expires_in"]))
        return token

    def rotate(self, private_jwk: Mapping[str, str]) -> Conversation[int]:
        """Give the client its next key and go on with it; for how long the present one is good.

        A client that was opened with a file writes it anew; its other processes read it when they
        next get a token, within the minutes that a token lives.
        """
        held = self.credentials
        following = held.next(private_jwk)
        token = yield from self.token()
        url = held.base_url + NEXT_KEY
        shown = signing.proof(following, "POST", url, token, int(self.clock()))
        content = json.dumps({"jwk": public_half(private_jwk), "proof": shown}).encode()
        added = answered((yield from self.call("POST", NEXT_KEY, content, {})))
        if self._source is not None:
            write(self._source, held.base_url, held.client_id, private_jwk, held.hub_keys)
            self._read_at = _changed(self._source)
        self.credentials, self._held = following, ("", 0.0)
        return int(added["overlap_seconds"])

    def _read_again(self) -> None:
        """Another process of this client may have written the next key."""
        if self._source is None or (changed := _changed(self._source)) == self._read_at:
            return
        self.credentials, self._read_at = Credentials.read(self._source), changed

    @property
    def hub_keys(self) -> Mapping[str, PublicKey]:
        """The keys that are believed to be the hub's, by name."""
        return dict(self._hub)

    def _token_call(self) -> Sent:
        held, at = self.credentials, int(self.clock())
        url = held.base_url + TOKEN
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signing.assertion(held, at),
        }
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "dpop": signing.proof(held, "POST", url, None, at),
        }
        return Sent("POST", url, headers, urlencode(form).encode())

    def _learn(self) -> Conversation[None]:
        """Learn the hub's keys: the first from whoever TLS says it is, later ones from the hub.

        RFC 9421 section 7.2: a key set that is signed with a key we trust may name the next.
        """
        at = int(self.clock())
        url = self.credentials.base_url + KEYS
        sent = signing.signed_call(self.credentials, "GET", url, None, None, {}, at)
        came = yield sent
        keys = answered(came).get("keys")
        try:
            listed = _named([dict(each) for each in keys or ()])
        except (Invalid, TypeError, ValueError) as err:
            raise AnswerNotVerified("the hub's keys cannot be read") from err
        signing.verified(came, sent, self._hub or listed)
        self._hub = {**self._hub, **listed}


def answered(came: Came) -> dict[str, Any]:
    """The JSON object of a success. Raises what a problem document says."""
    said = _json(came.content)
    if 200 <= came.status < 300 and isinstance(said, dict):
        return said
    raise problem(came)


def problem(came: Came) -> ProblemAnswer:
    """The error that an answer stands for."""
    said = _json(came.content)
    told: Mapping[str, Any] = said if isinstance(said, dict) else {}
    message = told.get("message") or {}
    kind = (
        HubUnavailable
        if came.status >= 500
        else CallRefused
        if came.status in (401, 403, 409, 429)
        else CallInvalid
    )
    english = str(message.get("en", f"the hub answered {came.status}"))
    error = kind(english, zh=str(message.get("zh", "")), rule=told.get("rule"))
    error.problem = told
    return error


def _changed(source: Path | None) -> int:
    return source.stat().st_mtime_ns if source is not None and source.exists() else 0


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _named(jwks: Any) -> dict[str, PublicKey]:
    return {thumbprint(each): public_key(each) for each in jwks}
