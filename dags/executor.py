"""Airflow's local executor, except that it never waits for a lock that a dead worker holds.

The workers take turns at one queue, and an idle one waits inside its lock. When it is killed there,
nobody can take a task any more and Airflow waits for ever. A worker that was killed therefore ends
the scheduler; the supervisor starts it again within a second, and every task can be run twice.
"""

from __future__ import annotations

import os

from airflow.executors.local_executor import LocalExecutor

KILLED_WORKER = 75  # https://man.freebsd.org/cgi/man.cgi?sysexits: try again


class MortalExecutor(LocalExecutor):  # type: ignore[misc]  # Airflow's types are skipped
    """See the module."""

    def _check_workers(self) -> None:
        killed = [worker.pid for worker in self.workers.values() if (worker.exitcode or 0) < 0]
        if killed:
            self.log.error("workers %s were killed; the scheduler starts afresh", killed)
            for worker in self.workers.values():
                worker.kill()
            os._exit(KILLED_WORKER)
        super()._check_workers()
