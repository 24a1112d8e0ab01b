"""How one sees that a process is well."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg


def http(url: str) -> Callable[[], bool]:
    """`url` answers 200."""
    client = asker()

    def healthy() -> bool:
        return client.get(url).status_code == 200

    return healthy


def asker() -> httpx.Client:
    """What a probe asks with, made once: making one costs far more than asking."""
    return httpx.Client(timeout=2, limits=httpx.Limits(max_keepalive_connections=0))


def unix_socket(path: Path) -> Callable[[], bool]:
    """Somebody accepts connections on `path`."""

    def healthy() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(str(path))
        return True

    return healthy


def query(dsn: str) -> Callable[[], bool]:
    """The server at `dsn` answers a query."""

    def healthy() -> bool:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)

    return healthy
