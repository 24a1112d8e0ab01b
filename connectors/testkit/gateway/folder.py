"""What a gateway serves and to whom: a folder with `gateway.yaml` and files of rows.

    dialect: gjgxjhpt
    clock_skew_s: 600
    requesters:
      yizhan: {app_key: …, services: {s_permit: {per_minute: 600, rows_per_day: 1000000}}}
    services:
      s_permit: {rows: s_permit.jsonl}

Rows are JSON objects, one a line, or CSV in UTF-8 whose first line names the columns. A file is
read anew when it changed; rows keep its order. The folder holds keys: it is for this user alone.
"""

from __future__ import annotations

import csv
import json
import secrets as random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from connectors.feeds.feed_settings import Strict
from schemas.errors import Invalid

Row = Mapping[str, str | None]
Count = Annotated[int, Field(ge=0)]

_CONFIG = "gateway.yaml"
_REQUESTER = "yizhan"


class Limits(Strict):
    """What one requester may take of one service."""

    per_minute: Count = 6000
    rows_per_day: Count = 10_000_000


class Requester(Strict):
    """Who may ask, its key, and its authorisation list."""

    app_key: str
    services: Mapping[str, Limits]


class Service(Strict):
    """What a department offers: a file of rows below the folder."""

    rows: Annotated[str, Field(pattern=r"^\w[\w.-]*\.(jsonl|csv)$")]


class Config(Strict):
    """The gateway's configuration."""

    dialect: str = "gjgxjhpt"
    says: Mapping[str, Any] = Field(default_factory=dict)
    clock_skew_s: Count = 600
    secret_s: Annotated[int, Field(ge=1)] = 3600
    largest_page: Annotated[int, Field(ge=1)] = 5000
    requesters: Mapping[str, Requester]
    services: Mapping[str, Service]

    @classmethod
    def read(cls, folder: Path) -> Config:
        """The configuration of a folder. Raises `Invalid`."""
        try:
            return cls.model_validate(yaml.safe_load((folder / _CONFIG).read_text("utf-8")))
        except (OSError, yaml.YAMLError, ValidationError) as err:
            raise Invalid(f"{folder.name} is no gateway's folder: {err}") from err


@dataclass(frozen=True)
class Access:
    """What the platform gave to us."""

    requester: str
    app_key: str

    @classmethod
    def read(cls, folder: Path) -> Access:
        """What the gateway in `folder` gave to its first requester."""
        name, requester = next(iter(Config.read(folder).requesters.items()))
        return cls(name, requester.app_key)


def open_gateway(
    folder: Path, services: Mapping[str, Iterable[Row]], *, dialect: str = "gjgxjhpt"
) -> Access:
    """Fill `folder` with these services; its key is made at the first opening and stays."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    known = (folder / _CONFIG).exists()
    access = Access.read(folder) if known else Access(_REQUESTER, random.token_hex(16))
    for service, rows in services.items():
        _write(folder / f"{service}.jsonl", rows)
    config = {
        "dialect": dialect,
        "requesters": {
            access.requester: {
                "app_key": access.app_key,
                "services": {service: Limits().model_dump() for service in services},
            }
        },
        "services": {service: {"rows": f"{service}.jsonl"} for service in services},
    }
    path = folder / _CONFIG
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), "utf-8")
    return access


def append_rows(folder: Path, service: str, rows: Iterable[Row]) -> None:
    """Add rows behind those of a service, all at once for whoever reads meanwhile."""
    path = folder / f"{service}.jsonl"
    before = path.read_text("utf-8") if path.exists() else ""
    partial = path.with_suffix(".part")
    partial.write_text(before + "".join(_line(row) for row in rows), "utf-8")
    partial.rename(path)


@dataclass
class Shelf:
    """The rows of every service, read anew when a file changed."""

    folder: Path
    config: Config
    _read: dict[str, tuple[tuple[int, int], list[Row]]] = field(default_factory=dict)

    def rows(self, service: str) -> list[Row]:
        """The rows of a service, in the file's order."""
        path = self.folder / self.config.services[service].rows
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        held = self._read.get(service)
        if held is None or held[0] != stamp:
            held = self._read[service] = (stamp, _rows(path))
        return held[1]


def _rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            return list(csv.DictReader(file))
        return [json.loads(line) for line in file if line.strip()]


def _write(path: Path, rows: Iterable[Row]) -> None:
    path.touch(mode=0o600)
    path.write_text("".join(_line(row) for row in rows), "utf-8")


def _line(row: Row) -> str:
    return json.dumps(dict(row), ensure_ascii=False) + "\n"
