"""A free port for each process, remembered, so that addresses stay the same from start to start."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import psutil

from exchange.settings import remembered_ports
from schemas.errors import Refused


class PortTaken(Refused):
    """A port that must not move is in use by somebody else."""

    code = "port-taken"


def claim(home: Path, name: str, *, prefer: int | None = None) -> int:
    """The port of process `name`: the remembered one, the preferred one, or any free one."""
    known = remembered_ports(home)
    wanted = known.get(name) or prefer
    others = {port for other, port in known.items() if other != name}
    port = wanted if wanted and wanted not in others and is_free(wanted) else _any_free(others)
    _remember(home, {**known, name: port})
    return port


def claim_fixed(home: Path, name: str, port: int) -> int:
    """A port that cannot move, because sealed bytes carry it.

    Raises `PortTaken` and names the process that holds it.
    """
    if not is_free(port):
        raise PortTaken(
            f"port {port} of {name} is in use by {holder(port)}; what was sealed carries this "
            "address, so it cannot move: stop that process and start again"
        )
    _remember(home, {**remembered_ports(home), name: port})
    return port


def is_free(port: int) -> bool:
    """Nobody listens there on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on `port`, as far as this user may see."""
    try:
        for found in psutil.net_connections("tcp"):
            if found.laddr and found.laddr.port == port and found.status == psutil.CONN_LISTEN:
                return f"{psutil.Process(found.pid).name()} (pid {found.pid})" if found.pid else ""
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another process"


def _any_free(others: set[int]) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in others:
            return port


def _remember(home: Path, ports: dict[str, int]) -> None:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = home / f".ports.{os.getpid()}"
    fresh.write_text(json.dumps(ports, indent=2, sort_keys=True) + "\n")
    fresh.replace(home / "ports.json")
