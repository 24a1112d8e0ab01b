"""The supervisor: health, restart, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from exchange.supervisor import AlreadyRunning, Service, Supervisor
from schemas.errors import Unavailable

# A parent whose child lives in a session of its own, as Airflow's task processes do.
PARENT = """
import subprocess, sys, time, pathlib
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(sleep, start_new_session=True)
pathlib.Path("child").write_text(str(child.pid))
pathlib.Path("ready").touch()
time.sleep(600)
"""
SUPERVISE = """
import sys, time
from pathlib import Path
from tests.exchange.test_supervisor import parent_service
from exchange.supervisor import Supervisor
home = Path(sys.argv[1])
with Supervisor(home, print) as supervisor:
    supervisor.start(parent_service(home))
    (home / "up").touch()
    time.sleep(600)
"""


def parent_service(home: Path, program: str = PARENT, patience: float = 20) -> Service:
    """A service that is healthy once it has a child."""
    ready = home / "run" / "parent" / "ready"
    return Service(
        "parent", [sys.executable, "-c", program], healthy=ready.exists, patience=patience
    )


def child_of(home: Path) -> int:
    """The pid of the grandchild."""
    return int((home / "run" / "parent" / "child").read_text())


def wait_until(true: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for something that must become true."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not become true in time"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """No such process, or only its shell."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class TestStop:
    def test_a_grandchild_in_its_own_session_is_ended_too(self, tmp_path: Path) -> None:
        """Task processes outlive their parents; they do not outlive the supervisor."""
        with Supervisor(tmp_path, print) as supervisor:
            supervisor.start(parent_service(tmp_path))
            parent, child = supervisor.pid("parent"), child_of(tmp_path)

        assert is_gone(parent)
        assert is_gone(child)


class TestWatch:
    def test_a_process_that_is_killed_is_started_again(self, tmp_path: Path) -> None:
        """Kill -9 is a normal event."""
        with Supervisor(tmp_path, print) as supervisor:
            supervisor.start(parent_service(tmp_path))
            first = supervisor.pid("parent")
            os.kill(first, signal.SIGKILL)

            wait_until(lambda: supervisor.pid("parent") != first)

    def test_what_it_left_in_its_session_is_ended_first(self, tmp_path: Path) -> None:
        """Workers of a dead scheduler would hold its port and wait for work for ever."""
        program = PARENT.replace("start_new_session=True", "process_group=0")

        with Supervisor(tmp_path, print) as supervisor:
            supervisor.start(parent_service(tmp_path, program))
            first, child = supervisor.pid("parent"), child_of(tmp_path)
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: is_gone(first))
            supervisor.settle(15)

            assert supervisor.pid("parent") != first
            assert is_gone(child)

    def test_one_that_does_not_get_well_is_named(self, tmp_path: Path) -> None:
        """Whoever waits for everything to settle is told who keeps them waiting."""
        with Supervisor(tmp_path, print) as supervisor:
            supervisor.start(parent_service(tmp_path))
            (tmp_path / "run" / "parent" / "ready").unlink()

            with pytest.raises(Unavailable, match="parent was not well again"):
                supervisor.settle(0.3)

    def test_one_that_dies_while_starting_is_shown_with_its_last_words(
        self, tmp_path: Path
    ) -> None:
        """The error carries what the process itself said."""
        broken = parent_service(tmp_path, "raise SystemExit('the disk is missing')", patience=3)

        with (
            Supervisor(tmp_path, print) as supervisor,
            pytest.raises(Unavailable, match="the disk is missing"),
        ):
            supervisor.start(broken)


class TestKilledSupervisor:
    def test_a_new_start_ends_what_was_left(self, tmp_path: Path) -> None:
        """After kill -9 of the supervisor itself nothing stays once it is started again."""
        killed = subprocess.Popen([sys.executable, "-c", SUPERVISE, str(tmp_path)])
        wait_until((tmp_path / "up").exists)
        child = child_of(tmp_path)
        killed.kill()
        killed.wait()
        assert not is_gone(child)

        with Supervisor(tmp_path, print):
            assert is_gone(child)

    def test_two_at_once_are_refused(self, tmp_path: Path) -> None:
        """The second names the first."""
        with (
            Supervisor(tmp_path, print),
            pytest.raises(AlreadyRunning, match=str(os.getpid())),
            Supervisor(tmp_path, print),
        ):
            pass
