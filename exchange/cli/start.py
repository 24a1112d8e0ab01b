"""`yizhan start`: everything that is ours, under one supervisor, until Ctrl-C."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import typer
from rich.console import Console

from exchange.processes import start_platform
from exchange.supervisor import Supervisor

SOURCE_PREFIX = "YIZHAN_SOURCE_"


def start() -> None:
    """Start PostgreSQL, the signer, the hub and Airflow; stop them on Ctrl-C or SIGTERM.

    The DAGs' tasks see every YIZHAN_SOURCE_… variable of this environment.
    """
    console = Console(stderr=True)
    home = Path(os.environ.get("YIZHAN_HOME", ".yizhan")).resolve()
    sources = {k: v for k, v in os.environ.items() if k.startswith(SOURCE_PREFIX)}
    interrupt_on_signals()
    with Supervisor(home, console.print) as supervisor:
        try:
            settings, airflow = start_platform(supervisor, console.print, task_environment=sources)
            console.print(f"hub      {settings.public_url}\nAirflow  {airflow.url}")
            console.print("Ctrl-C stops everything.")
            signal.pause()
        except KeyboardInterrupt:
            console.print("stopping …")
            raise typer.Exit(0) from None


def interrupt_on_signals() -> None:
    """SIGINT and SIGTERM raise KeyboardInterrupt once; while stopping they change nothing."""

    def once(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, once)
    signal.signal(signal.SIGTERM, once)
