"""The SDK: ask the exchange from any Python program, in three lines.

    hub = Client.open("credentials.json", receipts="receipts")
    why = Authority("不动产登记核验", "不动产登记暂行条例第十八条", "0100301000", "2026-7", "W-12")
    answer = hub.query("population.resident", Subject("cn.resident_id", number), ["name"], why)

Every call is signed (RFC 9421) and carries a proof of its own (RFC 9449); every answer is proved to
be the hub's to this very call before anything of it is returned. `AsyncClient` is the same with
`await`. Both may be shared by threads or tasks, neither logs, and they need httpx, cryptography
and rfc8785, nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from connectors import client_signing as signing
from connectors.client_keys import Credentials, new_key, public_half
from connectors.client_receipts import Receipt, Receipts
from connectors.client_session import (
    ASSERTION_TYPE,
    CallInvalid,
    CallRefused,
    Clock,
    Conversation,
    HubUnavailable,
    ProblemAnswer,
    Result,
    Session,
    answered,
)
from connectors.client_signing import AnswerNotVerified, Came, Sent
from schemas.grant import Authority, Subject

__all__ = (
    "ASSERTION_TYPE",
    "AnswerNotVerified",
    "AsyncClient",
    "Authority",
    "CallInvalid",
    "CallRefused",
    "Client",
    "Credentials",
    "HubUnavailable",
    "ProblemAnswer",
    "Receipt",
    "Receipts",
    "Subject",
    "new_key",
    "public_half",
)

SECONDS = 30


class _Common:
    """What both clients are made of: a session, and calls as conversations."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @property
    def credentials(self) -> Credentials:
        """Which client this is, and its key."""
        return self.session.credentials

    def assertion(self) -> str:
        """A client assertion for the token endpoint."""
        return signing.assertion(self.credentials, int(self.session.clock()))

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """A DPoP proof for one call."""
        return signing.proof(self.credentials, method, url, token, int(self.session.clock()))

    def signed(
        self, method: str, url: str, content: bytes | None, token: str, **headers: str
    ) -> dict[str, str]:
        """The headers of one signed call, for who sends it by other means."""
        at = int(self.session.clock())
        made = signing.signed_call(self.credentials, method, url, content, token, headers, at)
        return dict(made.headers)

    def _asking(self, path: str, body: object, headers: Mapping[str, str]) -> Conversation[Any]:
        return answered((yield from self._calling("POST", path, body, headers)))

    def _calling(
        self, method: str, path: str, body: object, headers: Mapping[str, str]
    ) -> Conversation[Came]:
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        return (yield from self.session.call(method, path, content, headers))


class Client(_Common):
    """A client system of the exchange."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        http: httpx.Client | None = None,
        clock: Clock = time.time,
        receipts: str | Path | None = None,
        source: Path | None = None,
    ) -> None:
        super().__init__(Session(credentials, clock, receipts, source))
        self._http = http or httpx.Client(timeout=SECONDS)

    @classmethod
    def open(cls, path: str | Path, receipts: str | Path | None = None) -> Self:
        """Open with a credentials file, keeping receipts in a folder. Raises `Invalid`."""
        return cls(Credentials.read(Path(path)), receipts=receipts, source=Path(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def query(
        self, resource: str, subject: Subject, fields: Sequence[str], authority: Authority
    ) -> dict[str, Any]:
        """Ask for fields of one subject.

        Raises `CallRefused`, `CallInvalid`, `HubUnavailable` or `AnswerNotVerified`.
        """
        body = {**about(subject, authority), "fields": list(fields)}
        return self.post(f"/v1/resources/{resource}/query", body)

    def verify(
        self,
        resource: str,
        subject: Subject,
        claims: Mapping[str, object],
        authority: Authority,
    ) -> dict[str, Any]:
        """Compare claims with what the exchange holds. Raises as `query`."""
        body = {**about(subject, authority), "claims": dict(claims)}
        return self.post(f"/v1/resources/{resource}/verify", body)

    def predicate(
        self,
        resource: str,
        subject: Subject,
        predicates: Sequence[str],
        authority: Authority,
    ) -> dict[str, Any]:
        """Ask yes-or-no questions of the fixed catalogue. Raises as `query`."""
        body = {**about(subject, authority), "predicates": list(predicates)}
        return self.post(f"/v1/resources/{resource}/predicate", body)

    def accesses(self, subject: Subject, authority: Authority) -> dict[str, Any]:
        """Who asked about a subject. Raises as `query`."""
        return self.post("/v1/subjects/accesses", about(subject, authority))

    def post(self, path: str, body: object, headers: Mapping[str, str] = {}) -> dict[str, Any]:
        """Post a JSON body; return the JSON answer. Raises as `query`."""
        said: dict[str, Any] = self._held(self._asking(path, body, headers))
        return said

    def get(self, path: str) -> dict[str, Any]:
        """Get a JSON answer. Raises as `query`."""
        return answered(self._held(self._calling("GET", path, None, {})))

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] = {}
    ) -> httpx.Response:
        """Make one call and return its proved answer, whatever it says."""
        came = self._held(self._calling(method, path, body, headers))
        asked = httpx.Request(method, self.session.credentials.base_url + path)
        return httpx.Response(
            came.status, headers=dict(came.headers), content=came.content, request=asked
        )

    def rotate(self) -> int:
        """Give this client its next key and go on with it; seconds that the present one is good.

        Raises as `query`.
        """
        return self._held(self.session.rotate(new_key()))

    def token(self) -> str:
        """An access token that lives for a while yet."""
        return self._held(self.session.token())

    def _held(self, conversation: Conversation[Result]) -> Result:
        """Hold a conversation: send what it says, give it what comes."""
        try:
            sent = next(conversation)
            while True:
                sent = conversation.send(self._answer(sent))
        except StopIteration as done:
            result: Result = done.value
            return result

    def _answer(self, sent: Sent) -> Came:
        try:
            response = self._http.request(
                sent.method, sent.url, content=sent.content, headers=dict(sent.headers)
            )
        except httpx.TransportError as err:
            raise _no_answer(err) from err
        return _came(response)


class AsyncClient(_Common):
    """The same client for asyncio."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        http: httpx.AsyncClient | None = None,
        clock: Clock = time.time,
        receipts: str | Path | None = None,
        source: Path | None = None,
    ) -> None:
        super().__init__(Session(credentials, clock, receipts, source))
        self._http = http or httpx.AsyncClient(timeout=SECONDS)

    @classmethod
    def open(cls, path: str | Path, receipts: str | Path | None = None) -> Self:
        """Open with a credentials file, keeping receipts in a folder. Raises `Invalid`."""
        return cls(Credentials.read(Path(path)), receipts=receipts, source=Path(path))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def query(
        self, resource: str, subject: Subject, fields: Sequence[str], authority: Authority
    ) -> dict[str, Any]:
        """Ask for fields of one subject. Raises as `Client.query`."""
        body = {**about(subject, authority), "fields": list(fields)}
        return await self.post(f"/v1/resources/{resource}/query", body)

    async def verify(
        self,
        resource: str,
        subject: Subject,
        claims: Mapping[str, object],
        authority: Authority,
    ) -> dict[str, Any]:
        """Compare claims with what the exchange holds. Raises as `Client.query`."""
        body = {**about(subject, authority), "claims": dict(claims)}
        return await self.post(f"/v1/resources/{resource}/verify", body)

    async def predicate(
        self,
        resource: str,
        subject: Subject,
        predicates: Sequence[str],
        authority: Authority,
    ) -> dict[str, Any]:
        """Ask yes-or-no questions of the fixed catalogue. Raises as `Client.query`."""
        body = {**about(subject, authority), "predicates": list(predicates)}
        return await self.post(f"/v1/resources/{resource}/predicate", body)

    async def accesses(self, subject: Subject, authority: Authority) -> dict[str, Any]:
        """Who asked about a subject. Raises as `Client.query`."""
        return await self.post("/v1/subjects/accesses", about(subject, authority))

    async def post(
        self, path: str, body: object, headers: Mapping[str, str] = {}
    ) -> dict[str, Any]:
        """Post a JSON body; return the JSON answer. Raises as `Client.query`."""
        said: dict[str, Any] = await self._held(self._asking(path, body, headers))
        return said

    async def get(self, path: str) -> dict[str, Any]:
        """Get a JSON answer. Raises as `Client.query`."""
        return answered(await self._held(self._calling("GET", path, None, {})))

    async def rotate(self) -> int:
        """Give this client its next key, as `Client.rotate`."""
        return await self._held(self.session.rotate(new_key()))

    async def call(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str] = {}
    ) -> Came:
        """Make one call of bytes and return its proved answer, whatever it says."""
        return await self._held(self.session.call(method, path, content, headers))

    async def _held(self, conversation: Conversation[Result]) -> Result:
        try:
            sent = next(conversation)
            while True:
                sent = conversation.send(await self._answer(sent))
        except StopIteration as done:
            result: Result = done.value
            return result

    async def _answer(self, sent: Sent) -> Came:
        try:
            response = await self._http.request(
                sent.method, sent.url, content=sent.content, headers=dict(sent.headers)
            )
        except httpx.TransportError as err:
            raise _no_answer(err) from err
        return _came(response)


def about(subject: Subject, authority: Authority) -> dict[str, Any]:
    """What every body says: about whom, and why."""
    return {
        "subject": {"type": subject.type, "id": subject.id},
        "authority": {
            "purpose": authority.purpose,
            "basis": authority.basis,
            "item": authority.item,
            "case": authority.case,
            "officer": authority.officer,
        },
    }


def _came(response: httpx.Response) -> Came:
    return Came(response.status_code, dict(response.headers), response.content)


def _no_answer(err: httpx.TransportError) -> HubUnavailable:
    error = HubUnavailable(f"the hub does not answer: {type(err).__name__}")
    error.problem = {}
    return error
