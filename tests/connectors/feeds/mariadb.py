"""A MariaDB server of the test's own, in a folder that goes away with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.conftest import free_port

pymysql: Any = import_module("pymysql")  # it ships no types

# The server's own statements that make its system tables; Debian's folder, then the others'.
_SYSTEM = [Path("/usr/share/mysql"), Path("/usr/share/mariadb")]
_MADE_OF = ("mysql_system_tables.sql", "mysql_system_tables_data.sql")


def missing() -> str | None:
    """Why there can be none here; None when there can."""
    if shutil.which("mariadbd") and _system():
        return None
    return "mariadbd is not on this machine (Debian: mariadb-server-core)"


def _system() -> Path | None:
    found = (folder for folder in _SYSTEM if all((folder / name).exists() for name in _MADE_OF))
    return next(found, None)


@dataclass(frozen=True)
class Server:
    """It listens on loopback; `root` has no password, `reader` may read the database `rkk`."""

    port: int

    def address(self, user: str = "reader", password: str = "read-only") -> str:
        """What a manifest's variable says."""
        return f"mysql://{user}:{password}@127.0.0.1:{self.port}/rkk"

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """A deed of the department."""
        with (
            pymysql.connect(
                host="127.0.0.1", port=self.port, user="root", charset="utf8mb4", autocommit=True
            ) as conn,
            conn.cursor() as cursor,
        ):
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())


@contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Make a server below `folder` and start it; stop it at the end."""
    server = Server(free_port())
    argv = [
        "mariadbd", "--no-defaults", f"--datadir={folder / 'data'}", f"--port={server.port}",
        "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}",
        "--skip-name-resolve", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M",
        "--innodb-flush-log-at-trx-commit=0", "--performance-schema=OFF",
        *(["--user=root"] if os.geteuid() == 0 else []),
    ]  # fmt: skip
    _make(folder / "data", argv)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        _wait(server)
        server.run("CREATE DATABASE rkk CHARACTER SET utf8mb4")
        server.run("CREATE USER reader@'127.0.0.1' IDENTIFIED BY 'read-only'")
        server.run("GRANT SELECT ON rkk.* TO reader@'127.0.0.1'")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)


def _make(data: Path, argv: list[str]) -> None:
    """The system tables, with a root that has no password on loopback."""
    data.mkdir()
    system = _system()
    assert system is not None
    statements = "\n".join((system / name).read_text("utf-8") for name in _MADE_OF)
    begin = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
    subprocess.run(
        [*argv, "--bootstrap"], input=begin + statements, text=True, check=True, capture_output=True
    )


def _wait(server: Server) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            server.run("SELECT 1")
            return
        except pymysql.err.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
