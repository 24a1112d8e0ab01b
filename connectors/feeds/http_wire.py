"""Questions to one HTTP service, put until there is an answer: the line of every HTTP feed.

What it sees to: certificates are checked; redirects are followed to the same origin only; an
answer has a largest size and a longest time; 429 and 503 are obeyed and broken lines tried again,
as far as patience goes; credentials are renewed once when they are refused; a source is asked no
faster than agreed. It may be used by two threads. It never logs, and no error repeats an address,
a query or a body. Proxies and .netrc of the environment are not used: a department's system is
asked directly.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urljoin

import httpx

from connectors.feeds.http_json import Unreadable, parsed
from connectors.feeds.http_patience import AGAIN, Patience, asked_pause, http_date
from connectors.feeds.http_settings import Wire
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import PermanentFailure, TransientFailure

ATTEMPTS = 6
REDIRECTS = 3

_HERE = frozenset({"127.0.0.1", "::1", "localhost"})
_MOVED = frozenset({301, 302, 303, 307, 308})
_KEPT = ("content-type", "retry-after", "date", "link", "location")


@dataclass(frozen=True)
class Question:
    """What to ask: a path below the base address, or a link from there that a page named."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    link: str | None = None
    method: str = "GET"
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came: the status, the headers that we look at, and the document of a 200."""

    status: int
    headers: Mapping[str, str]
    document: Any = None
    url: str = ""

    @property
    def date(self) -> datetime | None:
        """When the source says it answered."""
        return http_date(self.headers.get("date", ""))


class Credentials(Protocol):
    """What proves who asks."""

    def headers(self, line: Line) -> Mapping[str, str]:
        """The headers of one question."""

    def renew(self) -> bool:
        """They were refused; say whether a fresh set may be tried."""


class Line:
    """The line to one source's service."""

    def __init__(
        self,
        manifest: Manifest,
        settings: Wire,
        secrets: Mapping[str, str],
        credentials: Credentials,
        *,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manifest = manifest
        self._settings = settings
        self._credentials = credentials
        self._attempts = attempts
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._notices: Counter[str] = Counter()
        self.base = _base(manifest, settings, secrets)
        self._client = httpx.Client(
            timeout=settings.timeout_s,
            verify=_trusted(manifest, settings, secrets, self.base),
            trust_env=False,
        )

    def ask(self, question: Question, *, missing: bool = False, signed: bool = True) -> Answer:
        """Put a question until it is answered by 200 (or 404, where that may be: `missing`).

        Raises `TransientFailure` when patience ends and `PermanentFailure` for any other answer.
        """
        patience = Patience(self._settings.patience_s, self._attempts)
        fresh, torn = not signed, False
        while True:
            answer = self._exchanged(question, signed)
            if answer is not None and answer.status == 401 and not fresh:
                fresh = True
                if self._credentials.renew():
                    self.note("credentials_renewed")
                    continue
            if answer is None or answer.status in AGAIN:
                self._wait(answer, patience)
                continue
            try:
                return self._understood(answer, missing)
            except Unreadable as what:
                if torn:
                    raise self._manifest.wrong(f"the API's answer {what}") from None
                torn = True  # a proxy may have cut it short: once more
                self.note("answer_torn")

    def note(self, kind: str) -> None:
        """Count something that was met and survived."""
        with self._lock:
            self._notices[kind] += 1

    def notices(self) -> dict[str, int]:
        """What was met and survived, by kind."""
        with self._lock:
            return dict(self._notices)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _exchanged(self, question: Question, signed: bool) -> Answer | None:
        """One exchange, redirects within the origin included; None when the line broke."""
        url = self._joined(self.base + question.path, question.link or "")
        for _ in range(REDIRECTS + 1):
            if not same_origin(self.base, url):
                raise self._manifest.wrong("an answer sends us to another host, where we do not go")
            headers = self._credentials.headers(self) if signed else {}
            answer = self._sent(replace(question, path=url), headers)
            if answer is None or answer.status not in _MOVED:
                return answer
            url = self._moved(question, answer)
            question = replace(question, query={})
        raise self._manifest.wrong(f"the API redirects more than {REDIRECTS} times")

    def _joined(self, base: str, target: str) -> str:
        try:
            return urljoin(base, target)
        except ValueError:
            raise self._manifest.wrong("an answer names an address that is none") from None

    def _moved(self, question: Question, answer: Answer) -> str:
        target = self._joined(answer.url, answer.headers.get("location", ""))
        if not same_origin(self.base, target):
            raise self._manifest.wrong(
                f"the API answers {answer.status} and sends us to another host, where we do not go"
            )
        # RFC 9110 15.4: only 307 and 308 keep the method and the body.
        if question.method != "GET" and answer.status not in (307, 308):
            raise self._manifest.wrong(f"the API answers {answer.status} to a {question.method}")
        return target

    def _sent(self, question: Question, headers: Mapping[str, str]) -> Answer | None:
        self._take_turn()
        try:
            with self._client.stream(
                question.method,
                question.path,
                params=dict(question.query) or None,  # {} would wipe the address's own query
                json=question.json,
                data=question.form,
                headers={**question.headers, **headers},
            ) as response:
                return self._received(response)
        except httpx.InvalidURL:
            raise self._manifest.wrong("an answer names an address that is none") from None
        except httpx.RequestError as broken:
            kind = "timeout" if isinstance(broken, httpx.TimeoutException) else "line_broken"
            self.note(kind)
            return None

    def _received(self, response: httpx.Response) -> Answer | None:
        """Read the answer's body, but no more and no longer than agreed."""
        limit, until = self._settings.answer_mb << 20, self._clock() + self._settings.answer_s
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > limit:
                raise self._manifest.wrong(f"an answer is longer than {limit >> 20} MB")
            if self._clock() > until:
                self.note("timeout")
                return None
        headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
        return Answer(response.status_code, headers, bytes(body), str(response.url))

    def _understood(self, answer: Answer, missing: bool) -> Answer:
        if answer.status == 404 and missing:
            return replace(answer, document=None)
        if answer.status != 200:
            raise self._manifest.wrong(f"the API answers {answer.status}")
        try:
            return replace(answer, document=parsed(answer.document))
        except Unreadable as what:
            kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
            told = f" and calls itself {kind}" if kind and not kind.endswith("json") else ""
            raise Unreadable(f"{what}{told}") from None

    def _wait(self, answer: Answer | None, patience: Patience) -> None:
        said = None
        if answer is not None:
            self.note(f"http_{answer.status}")
            said = asked_pause(answer.headers, datetime.now(UTC))
        pause = patience.pause(said)
        if pause is None:
            raise self._gave_up(said, patience)
        self.note("retries")
        self._sleep(pause)

    def _gave_up(self, said: float | None, patience: Patience) -> TransientFailure:
        source = self._manifest.source
        if said is not None and patience.tries > 0:
            return TransientFailure(
                f"{source}: asks us to wait {said:.0f} s, and {patience.seconds:.0f} s of patience "
                "are left (patience_s); the next run asks again"
            )
        met = ", ".join(f"{kind} {count}" for kind, count in sorted(self.notices().items()))
        return TransientFailure(f"{source}: no answer after {self._attempts} tries ({met})")

    def _take_turn(self) -> None:
        """Wait until the agreed rate allows one more question."""
        rate = self._settings.per_second
        if rate is None:
            return
        with self._lock:
            now = self._clock()
            turn = max(now, self._free_at)
            self._free_at = turn + 1 / rate
        if turn > now:
            self._sleep(turn - now)


def same_origin(one: str, other: str) -> bool:
    """Say whether two addresses share scheme, host and port (RFC 6454 5)."""
    try:
        return _origin(one) == _origin(other)
    except httpx.InvalidURL:
        return False


def _origin(address: str) -> tuple[str, str, int | None]:
    url = httpx.URL(address)
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _base(manifest: Manifest, settings: Wire, secrets: Mapping[str, str]) -> str:
    """The base address. Raises `PermanentFailure` when it is none, or not encrypted."""
    said = manifest.secret(secrets, settings.base_url)
    try:
        url = httpx.URL(said)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host or url.query or url.userinfo:
        raise PermanentFailure(
            f"{manifest.source}: {settings.base_url} is no address like https://host/path"
        )
    if url.scheme == "http" and url.host not in _HERE and not settings.plain_http:
        raise PermanentFailure(
            f"{manifest.source}: {settings.base_url} is not encrypted; use https, or say "
            "plain_http: true in the manifest if the agreement allows it"
        )
    return said.rstrip("/")


def _trusted(
    manifest: Manifest, settings: Wire, secrets: Mapping[str, str], base: str
) -> ssl.SSLContext:
    """The usual authorities and the manifest's own; none at all where nothing is encrypted."""
    if base.startswith("http:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = httpx.create_ssl_context(trust_env=False)
    if settings.ca:
        try:
            context.load_verify_locations(cafile=manifest.secret(secrets, settings.ca))
        except (OSError, ssl.SSLError):
            raise PermanentFailure(
                f"{manifest.source}: {settings.ca} names no readable file of certificates"
            ) from None
    return context
