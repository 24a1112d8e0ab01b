"""Load on a hub from a process of its own: requests made beforehand, answers counted and timed.

Closed: each connection sends its next request when its last one was answered. Open (`rate`): a
request is due at its time and is timed from then, whether or not a connection was free, so a hub
that stalls cannot hide it (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length:"
PATIENCE = 120.0  # seconds until a hub that hangs is given up


@dataclass(frozen=True)
class Plan:
    """What to send: whole HTTP/1.1 requests, over so many connections, at so many a second."""

    port: int
    requests: Sequence[bytes]
    connections: int
    rate: float | None = None


@dataclass(frozen=True)
class Told:
    """What came of it; `seconds` of each call, the shortest first."""

    seconds: float
    latencies: Sequence[float]
    statuses: Mapping[int, int]

    @property
    def per_second(self) -> float:
        """Calls answered per second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """The time within which this share of the calls was answered."""
        return 1000 * self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def send(plan: Plan) -> Told:
    """Send it all from another process. Raises `AssertionError` unless every answer is a 200."""
    told: Told = pickle.loads(  # our own process's answer
        subprocess.run(
            [sys.executable, "-m", "tests.bench.load"],
            input=pickle.dumps(plan),
            stdout=subprocess.PIPE,
            check=True,
            timeout=PATIENCE,
        ).stdout
    )
    assert {200} == set(told.statuses), f"answers by status: {told.statuses}"
    return told


async def _sent(plan: Plan) -> Told:
    loop = asyncio.get_running_loop()
    line = _Line(plan, loop.create_future())
    for _ in range(min(plan.connections, len(plan.requests))):
        await loop.create_connection(lambda: _Connection(line, loop), "127.0.0.1", plan.port)
    line.open()
    await line.done
    return Told(time.perf_counter() - line.start, sorted(line.latencies), dict(line.statuses))


class _Line:
    """The requests that wait, and what is known of those that were answered."""

    def __init__(self, plan: Plan, done: asyncio.Future[None]) -> None:
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.start = 0.0
        self.done = done
        self._plan = plan
        self._next = 0
        self._connections: list[_Connection] = []

    def join(self, connection: _Connection) -> None:
        self._connections.append(connection)

    def open(self) -> None:
        """Everybody is connected: go."""
        self.start = time.perf_counter()
        for connection in self._connections:
            connection.send_next()

    def take(self, now: float) -> tuple[bytes, float] | None:
        """The next request and when it is due."""
        if self._next == len(self._plan.requests):
            return None
        request, number = self._plan.requests[self._next], self._next
        self._next += 1
        return request, self.start + number / self._plan.rate if self._plan.rate else now

    def answered(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(seconds)
        if len(self.latencies) == len(self._plan.requests):
            self.done.set_result(None)


class _Connection(asyncio.Protocol):
    """One connection, one call at a time."""

    def __init__(self, line: _Line, loop: asyncio.AbstractEventLoop) -> None:
        self._line = line
        self._loop = loop
        self._transport: asyncio.WriteTransport | None = None
        self._answer = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._line.join(self)

    def send_next(self) -> None:
        now = time.perf_counter()  # uvloop's own clock ticks in milliseconds
        taken = self._line.take(now)
        if taken is None:
            return
        request, self._due = taken
        if self._due > now:
            self._loop.call_later(self._due - now, self._write, request)
        else:
            self._write(request)

    def _write(self, request: bytes) -> None:
        assert self._transport is not None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(END_OF_HEAD)
        if not found or len(body) < _length(head):
            return
        self._line.answered(int(head[9:12]), time.perf_counter() - self._due)
        self._answer = b""
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._line.done.done():
            self._line.done.set_exception(exc or ConnectionError("the hub hung up"))


def _length(head: bytes) -> int:
    place = head.lower().index(LENGTH) + len(LENGTH)
    return int(head[place:].split(b"\r\n", 1)[0])


def main() -> None:
    """Read a plan, carry it out, tell."""
    plan: Plan = pickle.load(sys.stdin.buffer)
    told = uvloop.run(_sent(plan))
    pickle.dump(told, sys.stdout.buffer)


if __name__ == "__main__":
    # Under its own name, so that what is pickled is the same class on both sides.
    from tests.bench import load

    load.main()
