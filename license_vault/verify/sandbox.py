"""Hostile bytes are parsed in a process of their own, under limits, and only JSON comes back.

A warm fork server (`worker`) is started at the first question and forks one child for each: a
fresh, already imported process in a few milliseconds. Bytes travel over sockets, never over a disk.
Whatever the child does (dies, hangs, fills its memory, answers nonsense) is a verdict here.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from datetime import datetime
from typing import Any

from license_vault.trust import TrustBundle
from license_vault.verify.report import (
    REASONS,
    STEPS,
    Examined,
    Facts,
    Outcome,
    Pointer,
    Step,
    Stopped,
    Trail,
)

MOST_BYTES = 10 * 1024 * 1024
WALL_SECONDS = 6.0
LONGEST_ANSWER = 1024 * 1024
WORKER = "license_vault.verify.worker"
QUEUE_SECONDS = 15.0

_CREDENTIAL = re.compile(rb"\s*[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*~")


class Sandbox:
    """A fork server and as many children at a time as the machine has use for."""

    def __init__(self, wall_seconds: float = WALL_SECONDS) -> None:
        self._wall = wall_seconds
        self._room = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))
        self._starting = threading.Lock()
        self._control: socket.socket | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def examine(self, data: bytes, trust: TrustBundle, at: datetime) -> Examined:
        """Judge a document by itself; never raises for what the document does."""
        form = detect(data)
        if form not in ("pdf", "sd-jwt"):
            return _ended("", form)
        if not self._room.acquire(timeout=QUEUE_SECONDS):
            return _ended(form, "reader-unavailable")
        begun = time.monotonic()
        try:
            answer = self._ask(_request(form, data, trust, at))
        except TimeoutError:
            return _ended(form, "reader-out-of-time")
        except OSError:
            return _ended(form, "reader-unavailable")
        finally:
            self._room.release()
        try:
            return from_json(json.loads(answer))
        except (ValueError, KeyError, TypeError):
            too_long = not answer and time.monotonic() - begun >= self._wall
            return _ended(form, "reader-out-of-time" if too_long else "reader-died")

    @property
    def server(self) -> int | None:
        """The fork server's process id, while it runs."""
        return self._server.pid if self._server else None

    def close(self) -> None:
        """Let the fork server go; children end by themselves."""
        with self._starting:
            control, self._control = self._control, None
            server, self._server = self._server, None
        if control is not None:
            control.close()
        if server is not None:
            server.wait(timeout=10)

    def _ask(self, request: bytes) -> bytes:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._hand_over(theirs)
            # The child kills itself at its own limits; this is for one that cannot even do that.
            ours.settimeout(self._wall + 2)
            try:
                ours.sendall(request)
                ours.shutdown(socket.SHUT_WR)
                return _read_all(ours)
            except (BrokenPipeError, ConnectionResetError):
                return b""

    def _hand_over(self, connection: socket.socket) -> None:
        for attempt in (1, 2):
            control = self._started()
            try:
                socket.send_fds(control, [b"+"], [connection.fileno()])
                return
            except OSError:
                self.close()
                if attempt == 2:
                    raise

    def _started(self) -> socket.socket:
        with self._starting:
            if self._control is None:
                self._control, self._server = _start(self._wall)
            return self._control


def detect(data: bytes) -> str:
    """The form of a document (`pdf`, `sd-jwt`), or the reason why it has none."""
    if not data:
        return "empty"
    if len(data) > MOST_BYTES:
        return "too-large"
    # ISO 32000-2 annex I: readers accept the header within the first kilobyte.
    if b"%PDF-" in data[:1024]:
        return "pdf"
    return "sd-jwt" if _CREDENTIAL.match(data[:65_536]) else "unknown-format"


def to_json(examined: Examined) -> dict[str, Any]:
    """What a child answers."""
    return {**asdict(examined), "record": base64.b64encode(examined.record).decode()}


def from_json(told: dict[str, Any]) -> Examined:
    """Read a child's answer, believing nothing about its form."""
    form, stopped = told["form"], told["stopped"]
    steps = tuple(
        Step(int(s["number"]), str(s["name"]), Outcome(s["outcome"]), str(s["evidence"]))
        for s in told["steps"]
    )
    kinds = [kind.name for kind in STEPS[form]]
    if [step.name for step in steps] != kinds[: len(steps)]:
        raise ValueError("steps out of order")
    if stopped is not None and REASONS[stopped].verdict == "VALID":
        raise ValueError("a reason to stop is never a proof")
    facts = Facts(**{str(k): str(v) for k, v in told["facts"].items()}) if told["facts"] else None
    at = told["pointer"]
    pointer = Pointer(str(at["uri"]), int(at["index"])) if at else None
    return Examined(form, steps, stopped, facts, pointer, base64.b64decode(told["record"]))


def _request(form: str, data: bytes, trust: TrustBundle, at: datetime) -> bytes:
    head = {"form": form, "at": at.isoformat(), "trust": trust.without_lists().to_json()}
    return json.dumps(head).encode() + b"\n" + data


def _ended(form: str, reason: str) -> Examined:
    trail = Trail(form)
    trail.ended(Stopped(reason, REASONS[reason].en))
    return Examined(form, tuple(trail.steps), reason)


def _read_all(connection: socket.socket) -> bytes:
    answer = bytearray()
    while part := connection.recv(65_536):
        answer += part
        if len(answer) > LONGEST_ANSWER:
            return b""
    return bytes(answer)


def _start(wall: float) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # No environment: a child that is taken over finds no secret in it.
    environment = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "LANG": "C.UTF-8"}
    with theirs:
        server = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", WORKER, str(theirs.fileno()), str(wall)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    return ours, server
