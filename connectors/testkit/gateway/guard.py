"""Whether a call may pass: who asks, when, for what, how often and how much. No wire, no files.

    no such requester, wrong signature, a clock that is off   -1
    not in the requester's authorisation list                 E-106
    too often                                                 `TooOften`, which HTTP calls 429

`Passed` says what was proved; that the rows are counted afterwards is up to the caller (`took`).
"""

from __future__ import annotations

import hmac
import secrets as random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from connectors.feeds.dialects import Dialect, Part, wrapped
from connectors.testkit.gateway.folder import Config, Limits

MINUTE_S, DAY_S = 60.0, 86_400.0


class NoPass(Exception):
    """The call does not pass; `code` is what the platform says."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TooOften(Exception):
    """The requester has had its share; `wait_s` is when it may come again."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"come again in {wait_s:.0f} s")
        self.wait_s = wait_s


@dataclass(frozen=True)
class Passed:
    """A call that may be answered."""

    requester: str
    service: str
    limits: Limits


@dataclass
class Spent:
    """What a requester has had of a service in this minute and this day."""

    minute: float = 0.0
    calls: int = 0
    day: float = 0.0
    rows: int = 0


@dataclass
class Guard:
    """The gateway's memory of keys and of what was taken."""

    config: Config
    dialect: Dialect
    clock: Callable[[], float]
    _keys: dict[tuple[str, str], list[tuple[str, float]]] = field(default_factory=dict)
    _spent: dict[tuple[str, str], Spent] = field(default_factory=dict)
    _nonces: dict[str, float] = field(default_factory=dict)

    def refreshed(self, parts: Mapping[Part, str]) -> tuple[str, float]:
        """A fresh working key, wrapped, and when it ends. Raises `NoPass`."""
        assert self.dialect.secret is not None
        app_key = self._check_signed(parts, with_app_key=True)
        key, until = random.token_hex(16), self.clock() + self.config.secret_s
        held = self._keys.setdefault((parts["requester"], parts["service"]), [])
        living = [(old, ends) for old, ends in held if ends > self.clock()]
        held[:] = [*living[-4:], (key, until)]
        return wrapped(key, app_key, self.dialect.secret.key), until

    def check(self, parts: Mapping[Part, str]) -> Passed:
        """Let a call pass. Raises `NoPass` or `TooOften`."""
        self._check_signed(parts, with_app_key=self.dialect.secret is None)
        requester, service = parts["requester"], parts["service"]
        limits = self.config.requesters[requester].services.get(service)
        if limits is None or service not in self.config.services:
            raise NoPass("E-106", "the service is not in the authorisation list")
        self._check_share(self._of(requester, service), limits)
        return Passed(requester, service, limits)

    def took(self, passed: Passed, rows: int) -> None:
        """Count the rows that a call was given."""
        self._of(passed.requester, passed.service).rows += rows

    def _of(self, requester: str, service: str) -> Spent:
        return self._spent.setdefault((requester, service), Spent())

    def _check_signed(self, parts: Mapping[Part, str], *, with_app_key: bool) -> str:
        requester = self.config.requesters.get(parts.get("requester", ""))
        if requester is None:
            raise NoPass("-1", "nobody of that name is registered")
        self._check_time(parts)
        keys = [requester.app_key] if with_app_key else self._working_keys(parts)
        given = parts.get("signature", "").encode()
        if not any(
            hmac.compare_digest(self.dialect.signed(k, parts).encode(), given) for k in keys
        ):
            raise NoPass("-1", "the signature is wrong")
        self._check_nonce(parts)
        return requester.app_key

    def _working_keys(self, parts: Mapping[Part, str]) -> list[str]:
        held = self._keys.get((parts["requester"], parts["service"]), [])
        return [key for key, ends in held if ends > self.clock()]

    def _check_time(self, parts: Mapping[Part, str]) -> None:
        said = parts.get("time", "")
        if not said.isascii() or not said.isdigit() or len(said) > 15:
            raise NoPass("-1", "the time is no number of milliseconds")
        if abs(self.clock() - int(said) / 1000) > self.config.clock_skew_s:
            raise NoPass("-1", "the time is too far from ours")

    def _check_nonce(self, parts: Mapping[Part, str]) -> None:
        """A dialect that signs a nonce takes each once."""
        if "nonce" not in self.dialect.signs:
            return
        now = self.clock()
        self._nonces = {old: until for old, until in self._nonces.items() if until > now}
        if parts["nonce"] in self._nonces:
            raise NoPass("-1", "the nonce was used before")
        self._nonces[parts["nonce"]] = now + 2 * self.config.clock_skew_s

    def _check_share(self, spent: Spent, limits: Limits) -> None:
        now = self.clock()
        if now - spent.minute >= MINUTE_S:
            spent.minute, spent.calls = now, 0
        if now - spent.day >= DAY_S:
            spent.day, spent.rows = now, 0
        if spent.calls >= limits.per_minute:
            raise TooOften(spent.minute + MINUTE_S - now)
        if spent.rows >= limits.rows_per_day:
            raise TooOften(spent.day + DAY_S - now)
        spent.calls += 1
