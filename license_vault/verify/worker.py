"""The fork server behind the sandbox: imports once, forks for every document, ends with its owner.

A child has limits on memory, processor time, wall clock and open files, may write to no file, and
is killed by the kernel when it passes one. Started by `sandbox` only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
from datetime import datetime
from pathlib import Path

from license_vault import trust
from license_vault.verify import credential, pdf
from license_vault.verify.report import REASONS, Examined, Stopped, Trail
from license_vault.verify.sandbox import LONGEST_ANSWER, MOST_BYTES, to_json

MEMORY = 384 * 1024 * 1024
CPU_SECONDS = 4
WARM = (
    "cryptography.hazmat.backends.openssl.backend",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16_be",
    "encodings.utf_16_le",
    "pyhanko.pdf_utils.crypt",
    "pyhanko.pdf_utils.filters",
)
EXAMINERS = {"pdf": pdf.examine, "sd-jwt": credential.examine}


def serve(control: socket.socket, wall: float) -> None:
    """Fork one child for every connection handed over; return when the owner is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        for descriptor in descriptors:
            if os.fork() == 0:
                control.close()
                _child(socket.socket(fileno=descriptor), wall)
            os.close(descriptor)


def _child(connection: socket.socket, wall: float) -> None:
    status = 1
    try:
        _limit(wall)
        connection.sendall(_answer(_read_all(connection)))
        status = 0
    except BaseException:  # noqa: BLE001, S110 - the edge of a process: silence is an answer
        pass
    finally:
        os._exit(status)


def _limit(wall: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, wall)  # SIGALRM's default is death, even inside C code
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + MEMORY
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),  # what is open stays open; nothing else can be opened
    ):
        resource.setrlimit(limit, (value, value))


def _read_all(connection: socket.socket) -> bytes:
    request = bytearray()
    while part := connection.recv(1 << 20):
        request += part
        if len(request) > 2 * MOST_BYTES:
            raise ValueError("a request is never this large")
    return bytes(request)


def _answer(request: bytes) -> bytes:
    head, _, data = request.partition(b"\n")
    told = json.loads(head)
    form = told["form"]
    bundle = trust.bundle(json.dumps(told["trust"]).encode())
    try:
        examined = EXAMINERS[form](data, bundle, datetime.fromisoformat(told["at"]))
    except MemoryError:
        raise
    except Exception as err:  # noqa: BLE001 - whatever a parser does on hostile bytes is a verdict
        examined = _broken(form, err)
    answer = json.dumps(to_json(examined)).encode()
    if len(answer) > LONGEST_ANSWER:
        raise ValueError("an answer is never this large")
    return answer


def _broken(form: str, err: Exception) -> Examined:
    trail = Trail(form)
    assert "damaged" in REASONS
    trail.ended(Stopped("damaged", f"the reader gave up: {type(err).__name__}"))
    return Examined(form, tuple(trail.steps), "damaged")


def _warm() -> None:
    """Import what the readers would import at their first document: a child can open no file."""
    for name in WARM:
        importlib.import_module(name)


if __name__ == "__main__":
    _warm()
    serve(socket.socket(fileno=int(sys.argv[1])), float(sys.argv[2]))
