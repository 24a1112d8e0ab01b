"""A home of an engineer's own, and samples made of a few texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from connectors.feeds.sql_table import SOURCE_TYPE
from exchange.cli import source
from exchange.sources.profile import Column, Sample, profiled


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a database."""
    monkeypatch.setenv("YIZHAN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("YIZHAN_DATABASE_URL", raising=False)
    return tmp_path / "home"


def sample(declared: Mapping[str, str] = {}, **columns: Sequence[str | None]) -> Sample:
    """A sample of these columns, of which there are no more rows."""
    fields = [
        pa.field(name, pa.string(), metadata={SOURCE_TYPE: declared.get(name, "").encode()})
        for name in columns
    ]
    arrays = [pa.array(cells, pa.string()) for cells in columns.values()]
    return profiled(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), 1000)


def column(name: str, cells: Sequence[str | None], declared: str = "") -> Column:
    """What is found of one column."""
    return sample({name: declared}, **{name: cells}).column(name)


def types(*words: str, status: int = 0) -> str:
    """Type a command of `yizhan source`; get what it printed."""
    result = CliRunner().invoke(source.app, words, catch_exceptions=False)
    assert status == result.exit_code, result.output
    return result.stdout


def delivered(folder: Path, name: str, rows: Sequence[Mapping[str, Any]], encoding: str) -> Path:
    """A CSV with its rows."""
    folder.mkdir(exist_ok=True)
    lines = [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    path = folder / name
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path
