"""Any database with a Python DB-API driver (PEP 249), its rows turned into Arrow text batches.

There is one connection, and a state of it is one transaction; so a question aside waits until the
rows have been read, and is then asked in the same transaction. An engine that cannot keep a state
(MyISAM tables, say) may show a difference that is none; reconciliation will tell.

Text comes from the engine (`sql_dialects`). What a driver hands over as something else is written
by `text_of`, one rule a type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from connectors.feeds.source import PermanentFailure, TransientFailure
from connectors.feeds.sql_dialects import DIALECTS
from connectors.feeds.sql_drivers import code_of, driver

if TYPE_CHECKING:
    from connectors.feeds.manifest import Manifest
    from connectors.feeds.sql_database import Row
    from connectors.feeds.sql_settings import SqlSource

ROWS = 50_000
"""Rows of one batch."""

_PASSING = frozenset({"OperationalError", "InternalError", "InterfaceError"})
_REFUSED = re.compile(r"password|authentication|denied|认证|密码|口令", re.IGNORECASE)
_TEXTS: Mapping[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    float: repr,
    Decimal: lambda value: format(value, "f"),
    datetime: lambda value: value.isoformat(sep=" "),
    date: lambda value: value.isoformat(),
    time: lambda value: value.isoformat(),
    timedelta: str,
    bytes: lambda value: value.hex(),
    bytearray: lambda value: value.hex(),
    memoryview: lambda value: value.hex(),
}


class DbapiDatabase:
    """See the module."""

    def __init__(self, manifest: Manifest, settings: SqlSource, address: str) -> None:
        self._manifest = manifest
        self._settings = settings
        self._driver = driver(settings.driver, settings.dialect)
        self.dialect = DIALECTS[self._driver.dialect]
        self._address = address
        self._connection: Any = None
        self._held: str | None = None
        self._turn = Lock()
        self._reader: int | None = None

    def ask(self, query: str) -> list[Row]:
        """A question in a transaction of its own."""
        with self._turns():
            connection = self._ready()
            connection.rollback()
            self._held = None
            rows = self._rows(query)
            connection.rollback()
            return rows

    def hold(self, name: str) -> bool:
        """A transaction that sees one state, where the engine has such a thing."""
        with self._turns():
            if self._held == name:
                return True
            self._ready().rollback()
            self._do(self.dialect.hold)
            self._held = name
            return False

    def stream(self, query: str) -> Iterator[pa.RecordBatch]:
        """Batches of `ROWS` rows. Whoever stops in the middle loses the state that is held."""
        with self._turns():
            cursor = self._connection.cursor(**self._driver.streaming)
            whole = False
            try:
                cursor.execute(query)
                names: list[str] = []
                while rows := cursor.fetchmany(ROWS):
                    names = names or [str(column[0]) for column in cursor.description]
                    yield _batch(rows, names)
                cursor.close()
                whole = True
            finally:
                if not whole:
                    self._dropped()

    def aside(self, query: str) -> list[Row]:
        """After the reading, in the same transaction."""
        with self._turns():
            if self._held is None:
                raise TransientFailure(
                    f"{self._manifest.source}: the link on which the rows came is gone"
                )
            return self._rows(query)

    def close(self) -> None:
        """End the connection."""
        self._dropped()

    def _ready(self) -> Any:
        if self._connection is None:
            self._connection = self._connected()
            limit = self._settings.time_limit.total_seconds()
            said = {"seconds": int(limit), "milliseconds": int(limit * 1000)}
            self._do([statement.format(**said) for statement in self.dialect.session])
            self._connection.commit()
        return self._connection

    def _connected(self) -> Any:
        variable = self._settings.connection
        try:
            arguments, words = self._driver.arguments(self._address)
        except ValueError:
            raise PermanentFailure(
                f"{self._manifest.source}: {variable} is no address of a database"
            ) from None
        try:
            return self._module().connect(*arguments, **words)
        except self._module().Error as err:
            if _REFUSED.search(str(err)):
                raise self._manifest.wrong(
                    f"the database refuses the name, the password or the database in {variable}"
                ) from None
            raise

    def _module(self) -> Any:
        name = self._settings.driver
        try:
            return import_module(name)
        except ImportError:
            raise PermanentFailure(
                f"{self._manifest.source}: the driver {name} is not installed (pip install {name})"
            ) from None

    def _do(self, statements: Sequence[str]) -> None:
        cursor = self._connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()

    def _rows(self, query: str) -> list[Row]:
        cursor = self._connection.cursor()
        cursor.execute(query)
        rows = [tuple(map(text_of, row)) for row in cursor.fetchall()]
        cursor.close()
        return rows

    def _dropped(self) -> None:
        connection, self._connection, self._held = self._connection, None, None
        if connection is not None:
            with suppress(Exception):  # whatever a driver says of a link that is given up
                self._driver.hang_up(connection)

    @contextmanager
    def _turns(self) -> Iterator[None]:
        """One question at a time; what the driver raises is sorted."""
        if self._reader == get_ident():
            raise RuntimeError("read the window to its end before asking for anything else")
        if not self._turn.acquire(timeout=self._settings.time_limit.total_seconds()):
            raise TransientFailure(f"{self._manifest.source}: the rows are still being read")
        try:
            self._reader = get_ident()
            yield
        except (self._module().Error, OSError) as err:
            self._dropped()
            raise self._sorted(err) from None
        finally:
            self._reader = None
            self._turn.release()

    def _sorted(self, err: Exception) -> TransientFailure | PermanentFailure:
        """Its text, which may repeat rows, goes no further."""
        code = code_of(err)
        told = code or type(err).__name__
        if self._passes(err, code):
            return TransientFailure(
                f"{self._manifest.source}: the database does not answer ({told})"
            )
        return self._manifest.wrong(f"the database refused our question ({told})")

    def _passes(self, err: Exception, code: str | None) -> bool:
        if code is not None and self._driver.again is not None:
            return bool(self._driver.again.fullmatch(code))
        kinds = {kind.__name__ for kind in type(err).__mro__}
        return isinstance(err, OSError) or bool(kinds & _PASSING)


def text_of(value: Any) -> str | None:
    """A value as text, exactly: the one place that says what a date or a number looks like."""
    if value is None or isinstance(value, str):
        return value
    rule = _TEXTS.get(type(value))
    if rule is not None:
        return rule(value)
    if hasattr(value, "read"):  # a large object
        return text_of(value.read())
    return str(value)


def _batch(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> pa.RecordBatch:
    columns = [_column(cells) for cells in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def _column(cells: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(cells, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):  # a driver that gave something else than text
        return pa.array([text_of(cell) for cell in cells], pa.string())
