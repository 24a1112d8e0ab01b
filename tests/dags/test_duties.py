"""Whether Airflow tries again is the error's business, and no row reaches a log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import Invalid, Unavailable, YizhanError

# A worker of the executor is killed while it waits; the scheduler's own process must end.
KILLED = """
import os, signal, time
from dags.executor import MortalExecutor
executor = MortalExecutor(parallelism=2)
executor.start()
time.sleep(1)
os.kill(next(iter(executor.workers)), signal.SIGKILL)
for _ in range(100):
    executor.sync()
    time.sleep(0.05)
print("still waiting")
"""


class TestDuty:
    def test_unavailable_is_tried_again(self, airflow_home: Path) -> None:
        """Whatever is of that class, however it is called."""
        from dags.duties import BY_CLASS
        from exchange.libraries.batches import Busy

        for err in (Unavailable("down"), Busy("taken")):
            assert "retry" == BY_CLASS.evaluate(err, 1, 5).action.value

    def test_what_stays_wrong_fails_at_once(self, airflow_home: Path) -> None:
        """A person must act; asking again is no help."""
        from dags.duties import BY_CLASS, Unforeseen

        for err in (Invalid("wrong"), Unforeseen("ValueError at x.py:1")):
            assert "fail" == BY_CLASS.evaluate(err, 1, 5).action.value

    def test_our_errors_leave_as_they_are(self, airflow_home: Path) -> None:
        """Without what caused them, which may repeat a row."""
        from dags.duties import duty

        with pytest.raises(Invalid, match="wrong") as caught, duty():
            raise Invalid("wrong") from ValueError("11010519491231002X")

        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_an_unforeseen_error_keeps_its_words(self, airflow_home: Path) -> None:
        """Its kind and place reach the log, not what it says, for that may be a row."""
        from dags.duties import duty

        with pytest.raises(YizhanError) as caught, duty():
            raise ValueError("11010519491231002X")

        assert "1101051949" not in str(caught.value)
        assert "ValueError at test_duties.py" in str(caught.value)


class TestExecutor:
    def test_a_killed_worker_ends_the_scheduler(self, airflow_home: Path) -> None:
        """It may have held the lock of the queue: better to start afresh than to wait for ever."""
        done = subprocess.run(
            [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, timeout=60, check=False
        )

        assert b"still waiting" not in done.stdout
        assert 75 == done.returncode
