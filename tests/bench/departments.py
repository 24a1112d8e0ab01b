"""The departments of a rehearsal: tables of a database of theirs, and files that they deliver."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from hashlib import file_digest
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import yaml
from adbc_driver_postgresql import dbapi
from psycopg.sql import SQL, Composable, Identifier

from schemas import contract
from schemas.contract import Contract
from tests.bench.channels import Channel
from tests.bench.city_rows import SCHEMA, City, make_registers, make_rows

DSN = "YIZHAN_SOURCE_CITY_DSN"
DAY = date(2025, 11, 20)
CONTROL = {"form": "lines", "rows": "ROWS", "digest": "MD5", "name": "FILE"}


@dataclass(frozen=True)
class Departments:
    """Their database, the folder of their drops, and our folder of manifests."""

    dsn: str
    drops: Path
    sources: Path
    city: City

    def open(self) -> None:
        """Make the people and bodies that the registers speak of."""
        os.environ[DSN] = self.dsn
        with psycopg.connect(self.dsn) as conn:
            make_registers(conn, self.city)
        self._tidy("person", "body")

    def deliver(self, channel: Channel, count: int) -> int:
        """Make a channel's rows, put them where it is read, describe it; how many there are."""
        described = contract.load(channel.dataset)
        with psycopg.connect(self.dsn) as conn:
            rows = make_rows(conn, described, channel.name, count, self.city)
        self._tidy(channel.name)
        if channel.delivery != "table":
            self._drop(channel, described, rows)
            with psycopg.connect(self.dsn) as conn:
                conn.execute(SQL("DROP TABLE {}").format(Identifier(SCHEMA, channel.name)))
        self._describe(channel, described)
        return rows

    def _tidy(self, *tables: str) -> None:
        """As the server does in due time, so that whoever reads first does not do it."""
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            for table in tables:
                conn.execute(SQL("VACUUM ANALYZE {}").format(Identifier(SCHEMA, table)))

    def _drop(self, channel: Channel, described: Contract, rows: int) -> None:
        """A whole file with its control file, which comes last."""
        folder = self.drops / channel.source
        folder.mkdir(parents=True)
        os.environ[_folder_of(channel)] = str(folder)
        stem = f"{channel.name}_{DAY:%Y%m%d}_full"
        path = folder / f"{stem}.{channel.delivery}"
        columns = SQL(", ").join(
            SQL("{}::text").format(Identifier(field.short_name)) for field in described.fields
        )
        query = SQL("SELECT {} FROM {}").format(columns, Identifier(SCHEMA, channel.name))
        (_write_csv if channel.delivery == "csv" else _write_parquet)(self.dsn, query, path)
        with path.open("rb") as file:
            digest = file_digest(file, "md5").hexdigest()
        said = f"FILE={path.name}\r\nROWS={rows}\r\nMD5={digest}\r\n"
        (folder / f"{stem}.ctl").write_text(said, "ascii")

    def _describe(self, channel: Channel, described: Contract) -> None:
        manifest = {
            "source": channel.source,
            "dataset": channel.dataset,
            "owner": described.authority.name_zh,
            "feed": _feed(channel),
            "schedule": "1d",
            "columns": {field.short_name: field.name for field in described.fields},
            "guards": {"deleted_at_most": 0.05, "quarantined_at_most": 0.1},
        }
        path = self.sources / f"{channel.source}.yaml"
        path.write_text(yaml.safe_dump(manifest, allow_unicode=True), "utf-8")


def _feed(channel: Channel) -> dict[str, Any]:
    if channel.delivery == "table":
        table = f"{SCHEMA}.{channel.name}"
        return {"kind": "sql_snapshot", "connection": DSN, "table": table}
    whole = f"{channel.name}_{{date}}_full.{channel.delivery}"
    folder = _folder_of(channel)
    return {"kind": "file_drop", "folder": folder, "whole": whole, "control": CONTROL}


def _folder_of(channel: Channel) -> str:
    return f"YIZHAN_SOURCE_{channel.name.upper()}_FOLDER"


def _write_csv(dsn: str, query: Composable, path: Path) -> None:
    """As most departments write: GB 18030, one line of names."""
    statement = SQL("COPY ({}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'GB18030')").format(query)
    with (
        psycopg.connect(dsn) as conn,
        path.open("wb") as file,
        conn.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        file.writelines(copy)


def _write_parquet(dsn: str, query: Composable, path: Path) -> None:
    with dbapi.connect(dsn) as conn, conn.cursor() as cursor:
        cursor.execute(query.as_string(None))
        reader = cursor.fetch_record_batch()
        with pq.ParquetWriter(path, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
