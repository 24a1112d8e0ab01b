"""A source of our own making, so that a test says in a few lines what a department sends."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

from connectors.feeds import Manifest, Totals, Window
from connectors.feeds.checksum import buckets
from connectors.testkit import city
from exchange.database import Role
from exchange.libraries import journey
from exchange.settings import Settings

SOURCES = Path(city.__file__).parent / "sources"
Row = Mapping[str, str | int | None]

# GB 11643-1999's own example and numbers made for these tests: division 110105, check digits right.
ADA, BEN, CAI = "11010519491231002X", "110105199001011232", "110105198506304124"


@dataclass
class Department:
    """What the department says next: `sends` a window, and `tells` totals unless they are right."""

    columns: tuple[str, ...] = ()
    windows: list[tuple[Window, list[Row]]] = field(default_factory=list)
    lies: bool = False
    breaks: Exception | None = None

    def sends(
        self, end: str, rows: Sequence[Row], mode: Literal["snapshot", "changes"] = "snapshot"
    ) -> None:
        """The department's next window."""
        start = self.windows[-1][0].end if self.windows else None
        self.windows.append((Window(mode, start, end), list(rows)))


class DepartmentFeed:
    """A feed that speaks the protocol and reads nothing but a `Department`."""

    def __init__(self, manifest: Manifest, department: Department) -> None:
        self.manifest, self.department = manifest, department

    def plan(self, cursor: str | None) -> Window | None:
        ends = [window.end for window, _ in self.department.windows]
        after = ends.index(cursor) + 1 if cursor is not None else 0
        return self.department.windows[after][0] if after < len(ends) else None

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        if self.department.breaks:
            raise self.department.breaks
        yield from self._batches(window)

    def _batches(self, window: Window) -> list[pa.RecordBatch]:
        rows = next(rows for known, rows in self.department.windows if known.end == window.end)
        names = list(self.department.columns or self.manifest.source_columns)
        schema = pa.schema([(name, pa.string()) for name in names])
        if window.mode == "changes":
            schema = schema.append(pa.field("_op", pa.string())).append(
                pa.field("_seq", pa.int64())
            )
        numbered = [{"_op": "U", "_seq": number, **row} for number, row in enumerate(rows, 1)]
        return [pa.RecordBatch.from_pylist(numbered, schema=schema)] if rows else []

    def totals(self, window: Window) -> Totals:
        batches = self._batches(window)
        rows = sum(batch.num_rows for batch in batches)
        return Totals(rows + self.department.lies, None, self._buckets(batches))

    def _buckets(self, batches: list[pa.RecordBatch]) -> tuple[tuple[int, int], ...] | None:
        known = set(self.manifest.source_columns) <= set(self.department.columns or ()) or (
            not self.department.columns
        )
        return buckets(batches, self.manifest.source_columns) if known else None

    def notices(self) -> Mapping[str, int]:
        return {"http_503": 1}

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class City:
    """The departments of a test, and the libraries that collect from them."""

    settings: Settings
    departments: Mapping[str, Department]

    def __getitem__(self, source: str) -> Department:
        return self.departments[source]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database as the ingest role."""
        with self.settings.database.connect(Role.INGEST) as conn:
            return conn.execute(sql.encode()).fetchall()

    def content(self, table: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Everything a dataset holds, and everything it held."""
        return (
            self.rows(f"SELECT * FROM library.{table} ORDER BY 1, 2"),
            self.rows(f"SELECT * FROM library.{table}_history ORDER BY 1, 2, _during"),
        )


@pytest.fixture
def city_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> City:
    """The demo city's manifests with departments that say what the test tells them to."""
    shutil.copytree(SOURCES, settings.sources)
    for path in settings.sources.iterdir():  # a test's batches are small, and judged all the same
        path.write_text(f"{path.read_text('utf-8')}  judged_from: 1\n", "utf-8")
    departments = {name: Department() for name in ("residents", "registrations", "units", "rights")}
    monkeypatch.setattr(
        journey,
        "open_feed",
        lambda manifest, _secrets: DepartmentFeed(manifest, departments[manifest.source]),
    )
    return City(settings, departments)


def resident(number: str, name: str = "王小明", **other: str | None) -> Row:
    """A resident as the police write them."""
    usual = {
        "GMSFHM": number,
        "XM": name,
        "XBDM": "男",
        "MZDM": "01",
        "CSRQ": "19900101",
        "HJXZQH": "330784",
        "HJDZ": "永康市人民路1号",
        "JZDZ": "永康市人民路1号",
        "LXDH": "13800000000",
        "SWBS": "0",
        "SWRQ": None,
        "GXSJ": "2026-11-20 08:00:00+00",
    }
    return {**usual, **other}


Loosen = Callable[[str], None]


@pytest.fixture
def loosened(city_of: City) -> Loosen:
    """Call with a source: its guards let everything pass."""

    def loosen(source: str) -> None:
        path = city_of.settings.sources / f"{source}.yaml"
        text = path.read_text("utf-8")
        for ratio in ("deleted_at_most: 0.05", "quarantined_at_most: 0.1"):
            text = text.replace(ratio, f"{ratio.split(':')[0]}: 1")
        path.write_text(text, "utf-8")

    return loosen
