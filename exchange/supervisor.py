"""One supervisor for every process: starts, waits for health, restarts what dies, leaves nothing.

Every process runs in a session of its own with its working folder below the home, and writes to
`<home>/logs/<name>.log`. The supervisor adopts orphans (`PR_SET_CHILD_SUBREAPER`), because task
processes of Airflow live in groups of their own and outlive their parents. After its own kill -9
the next start finds what was left by its working folder and ends it first.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from schemas.errors import Refused, Unavailable

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
PATIENCE = 90.0  # seconds a process may take until it is healthy
GRACE = 8.0  # seconds between asking a process to stop and ending it
RESTARTS = 20  # within a minute; after that something is wrong that a restart does not cure


class AlreadyRunning(Refused):
    """Another supervisor holds this home."""

    code = "already-running"


@dataclass(frozen=True)
class Service:
    """One process: how it is started and how one sees that it is well."""

    name: str
    command: Sequence[str]
    healthy: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    os_user: str | None = None
    stop_with: signal.Signals = signal.SIGTERM
    patience: float = PATIENCE


@dataclass
class Running:
    """A service with its process of now; a restart replaces the process."""

    service: Service
    process: subprocess.Popen[bytes]
    is_up: bool = False
    starts: deque[float] = field(default_factory=lambda: deque(maxlen=RESTARTS))


class Supervisor:
    """Starts and stops processes below one home folder. Use it as a context manager."""

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        self.home = home
        self._say = say
        self._running: dict[str, Running] = {}
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._held: IO[bytes] | None = None

    def __enter__(self) -> Supervisor:
        self._held = _hold(self.home)
        end_leftovers(self.home)
        _adopt_orphans()
        threading.Thread(target=self._watch, name="supervisor", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *services: Service) -> None:
        """Start them together and wait until each is healthy.

        Raises `Unavailable` with the last lines of its log when one is not.
        """
        for service in services:
            with self._lock:
                self._running[service.name] = Running(service, self._spawn(service))
        for service in services:
            self._wait(service)

    def pid(self, name: str) -> int:
        """The process id of service `name` now."""
        return self._running[name].process.pid

    def settle(self, seconds: float) -> None:
        """Wait until every service runs and is well, whatever happened to it before.

        Raises `Unavailable` with the last words of one that is not.
        """
        until = time.monotonic() + seconds
        while ill := self._ill():
            if time.monotonic() > until:
                raise self._wrong(ill, f"was not well again within {seconds:.0f} s")
            time.sleep(0.1)

    def _ill(self) -> Service | None:
        for running in list(self._running.values()):
            if running.process.poll() is not None or not _is_healthy(running.service):
                return running.service
        return None

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Keep service `name` killed for a while, as a drill; at the end it is started again."""
        with self._lock:
            running = self._running.pop(name)
            running.process.kill()
            running.process.wait()
        try:
            yield
        finally:
            self.start(running.service)

    def stop(self) -> None:
        """Stop everything, last started first, and whatever it left behind."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        with self._lock:
            running = list(reversed(self._running.values()))
            family = list(_descendants(running))
            servers = [one for one in running if one.service.stop_with is signal.SIGINT]
            for group in ([one for one in running if one not in servers], servers):
                _stop_together(group)
        _end([process for process in family if process.is_running()])
        end_leftovers(self.home)
        if self._held:
            self._held.close()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        folder = self.home / "run" / service.name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with log_of(self.home, service.name).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own commands
                list(service.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=None if service.os_user else folder,
                env={**os.environ, **service.environment},
                start_new_session=True,
                user=service.os_user,
                group=service.os_user,
            )

    def _wait(self, service: Service) -> None:
        until = time.monotonic() + service.patience
        running = self._running[service.name]
        while not running.is_up:
            if self._stopping.is_set():
                raise Unavailable(f"{service.name} was stopped while starting")
            # First whether it lives: a stranger on its port would answer the probe for it.
            died = running.process.poll()
            if died is not None:
                raise self._wrong(service, f"ended with status {died} while starting")
            running.is_up = _is_healthy(service)
            if time.monotonic() > until:
                raise self._wrong(service, f"was not healthy within {service.patience:.0f} s")
            time.sleep(0.1)

    def _wrong(self, service: Service, what: str) -> Unavailable:
        path = log_of(self.home, service.name)
        return Unavailable(f"{service.name} {what}. The end of {path}:\n{tail(path)}")

    def _watch(self) -> None:
        while not self._stopping.wait(0.25):
            with self._lock:
                if self._stopping.is_set():
                    return
                for running in self._running.values():
                    if running.is_up:
                        self._restart_if_dead(running)

    def _restart_if_dead(self, running: Running) -> None:
        status = running.process.poll()
        if status is None:
            return
        now = time.monotonic()
        name = running.service.name
        if len(running.starts) == RESTARTS and now - running.starts[0] < 60:
            return
        if not running.starts or now - running.starts[-1] > 1:
            self._say(f"{name} ended with status {status}; starting it again. Its last words:")
            self._say(tail(log_of(self.home, name), lines=3))
        running.starts.append(now)
        _end_session(running.process.pid)
        running.process = self._spawn(running.service)


def log_of(home: Path, name: str) -> Path:
    """The log file of process `name`."""
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{name}.log"


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 16_384))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def end_leftovers(home: Path) -> list[int]:
    """End what an earlier supervisor of this home left running; returns the process ids."""
    left = list(_below(home))
    _end(left)
    return [process.pid for process in left]


def _below(home: Path) -> Iterator[psutil.Process]:
    """Python and PostgreSQL processes whose working folder is below `home`, except ourselves."""
    inside = str(home.resolve()) + os.sep
    ours = {Path(sys.executable).resolve().name, "postgres"}
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid in mine or not process.cwd().startswith(inside):
                continue
            if Path(process.exe()).name in ours:
                yield process


def _hold(home: Path) -> IO[bytes]:
    (home / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
    held = (home / "run" / "supervisor.lock").open("a+b")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.seek(0)
        pid = held.read().decode() or "unknown"
        held.close()
        raise AlreadyRunning(
            f"Yizhan already runs in {home} (pid {pid}); stop it with Ctrl-C there, "
            f"or with `kill {pid}`"
        ) from None
    held.truncate(0)
    held.write(str(os.getpid()).encode())
    held.flush()
    return held


def _descendants(group: Sequence[Running]) -> Iterator[psutil.Process]:
    for running in group:
        with contextlib.suppress(psutil.Error):
            yield from psutil.Process(running.process.pid).children(recursive=True)


def _adopt_orphans() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_session(leader: int) -> None:
    """Kill what a dead process left in its session.

    Workers of a dead Airflow scheduler would wait for work for ever, and hold its log port.
    """
    left = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader:
                process.kill()
                left.append(process)
    psutil.wait_procs(left, timeout=2)


def _is_healthy(service: Service) -> bool:
    try:
        return service.healthy()
    except Exception:  # noqa: BLE001 - any failure of a probe means "not yet"
        return False


def _stop_together(group: Sequence[Running]) -> None:
    for running in group:
        if running.process.poll() is None:
            running.process.send_signal(running.service.stop_with)
    until = time.monotonic() + GRACE
    for running in group:
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(max(0.1, until - time.monotonic()))


def _end(processes: Sequence[psutil.Process]) -> None:
    """TERM, then KILL: for whatever is left."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=2)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
