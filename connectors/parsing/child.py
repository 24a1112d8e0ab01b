"""Hostile bytes are read in a child of their own; what it does, dying included, is a `Fault` here.

The file travels as a descriptor, the rows come back as an Arrow stream of texts that is held to
that form and checked, the verdict as one line of JSON. A child that says nothing for long is ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from connectors.parsing.faults import SENTENCES, Fault
from connectors.parsing.spec import Spec

WORKER = "connectors.parsing.worker"
SILENT_SECONDS = 600.0
_PIPE = 1 << 20
_LONGEST_VERDICT = 4096
_SET_PIPE_SIZE = 1031  # fcntl F_SETPIPE_SZ, which Python 3.11 does not name everywhere


class Child:
    """One file being read. Iterate over it once; `rows` and `peak_kb` are known at the end."""

    def __init__(self, file: IO[bytes], spec: Spec, silent: float = SILENT_SECONDS) -> None:
        self.rows = 0
        self.peak_kb = 0
        self._silent = silent
        self._verdict, theirs = os.pipe()
        try:
            self._process = _started(file, spec, theirs)
        except BaseException:
            os.close(self._verdict)
            raise
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Its record batches; at least one. Raises `Fault` for whatever is wrong with the file."""
        try:
            yield from self._received()
        except (pa.ArrowException, OSError, ValueError):
            self._judge(trusted=False)
        self._judge(trusted=True)

    def close(self) -> None:
        """End the child."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self._verdict >= 0:
            os.close(self._verdict)
            self._verdict = -1

    def _received(self) -> Iterator[pa.RecordBatch]:
        assert self._process.stdout is not None
        pipe = _Pipe(self._process.stdout.fileno(), self._silent)
        with pa.ipc.open_stream(pa.PythonFile(pipe, mode="r")) as stream:
            if any(field.type != pa.string() for field in stream.schema):
                raise ValueError("a child sends texts only")
            first = True
            for batch in stream:
                batch.validate(full=True)
                self.rows += batch.num_rows
                first = False
                yield batch
            if first:
                yield pa.RecordBatch.from_pylist([], schema=stream.schema)

    def _judge(self, *, trusted: bool) -> None:
        """Return when the child read the whole file and its rows came whole."""
        said = self._said()
        ended = self._ended()
        if ended in (-signal.SIGXCPU, -signal.SIGKILL):
            raise Fault("out-of-time")
        if isinstance(code := said.get("fault"), str) and code in SENTENCES:
            raise Fault(code, **_numbers(said.get("numbers")))
        if ended or not trusted or said.get("rows") != self.rows:
            raise Fault("died")
        peak = said.get("peak_kb")
        self.peak_kb = peak if isinstance(peak, int) else 0

    def _said(self) -> dict[str, object]:
        ready, _, _ = select.select([self._verdict], [], [], self._silent)
        if not ready:
            self._process.kill()
            return {}
        try:
            said = json.loads(os.read(self._verdict, _LONGEST_VERDICT) or b"{}")
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    def _ended(self) -> int:
        try:
            return self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class _Pipe:
    """The child's rows, as long as it keeps sending."""

    closed = False

    def __init__(self, descriptor: int, silent: float) -> None:
        self._descriptor = descriptor
        self._silent = silent

    def read(self, size: int = -1) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            ready, _, _ = select.select([self._descriptor], [], [], self._silent)
            if not ready:
                raise OSError("the child is silent")
            part = os.read(self._descriptor, min(size - len(parts), _PIPE))
            if not part:
                break
            parts += part
        return bytes(parts)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """The descriptor belongs to the process."""


def _started(file: IO[bytes], spec: Spec, verdict: int) -> subprocess.Popen[bytes]:
    # No environment but this: a child that is taken over finds no secret in it.
    environment = {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "LANG": "C.UTF-8",
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve address space by the gigabyte
        "MALLOC_ARENA_MAX": "2",
    }
    file.seek(0)
    process = subprocess.Popen(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", WORKER, spec.to_json(), str(verdict)],
        pass_fds=[verdict],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        bufsize=0,
        start_new_session=True,
    )
    _widen(process)
    return process


def _widen(process: subprocess.Popen[bytes]) -> None:
    import fcntl

    assert process.stdout is not None
    try:
        fcntl.fcntl(process.stdout.fileno(), _SET_PIPE_SIZE, _PIPE)
    except OSError:  # the system's limit is lower: slower, no worse
        return


def _numbers(told: object) -> dict[str, int]:
    if not isinstance(told, dict):
        return {}
    return {str(key): value for key, value in told.items() if isinstance(value, int)}
