"""Where the database is and who may connect to it as what: one role per process.

Passwords are files of the secrets folder, never in code, arguments or logs. Connections made here
speak UTC. `without_detail` re-raises database errors without the DETAIL line, which repeats keys
(`Key (id)=(1101…)`) and so holds personal data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn
from urllib.parse import quote

import psycopg

from schemas.errors import Invalid, Unavailable


class Role(StrEnum):
    """The database roles, one per process (`exchange/roles.py` says what each may do)."""

    OWNER = "yizhan_owner"
    INGEST = "yizhan_ingest"
    HUB = "yizhan_hub"
    LEDGER = "yizhan_ledger"
    VAULT = "yizhan_vault"
    SIGNER = "yizhan_signer"
    CLERK = "yizhan_clerk"


@dataclass(frozen=True)
class Database:
    """An address and the passwords of the roles that are known here."""

    host: str
    port: int
    name: str
    passwords: Mapping[str, str]
    parameters: str = ""

    def dsn(self, role: str) -> str:
        """The connection URL of `role`; it holds a password, so it is never logged."""
        address = f"{quote(self.host, safe='.:[]')}:{self.port}/{quote(self.name)}"
        suffix = f"?{self.parameters}" if self.parameters else ""
        return f"postgresql://{role}:{quote(self.passwords[role], safe='')}@{address}{suffix}"

    def connect(self, role: str, *, autocommit: bool = False) -> psycopg.Connection:
        """A new connection as `role`. Raises `Unavailable` when the server does not answer."""
        try:
            connection = psycopg.connect(self.dsn(role), autocommit=autocommit, connect_timeout=10)
        except psycopg.OperationalError as err:
            raise Unavailable(
                f"PostgreSQL at {self.host}:{self.port} refused {role}: {_first_line(err)}"
            ) from None
        connection.execute("SET TIME ZONE 'UTC'")
        if not autocommit:
            connection.commit()
        return connection


@contextmanager
def without_detail() -> Iterator[None]:
    """Re-raise psycopg's errors as ours, with the SQLSTATE and without the values."""
    try:
        yield
    except psycopg.Error as err:
        _raise_without_detail(err)


def _raise_without_detail(err: psycopg.Error) -> NoReturn:
    said = f"database error {err.sqlstate or 'without a state'}: {_first_line(err)}"
    if isinstance(err, psycopg.OperationalError):
        raise Unavailable(said) from None
    raise Invalid(said) from None


def _first_line(err: psycopg.Error) -> str:
    primary = err.diag.message_primary
    return primary or next(iter(str(err).strip().splitlines()), "no message")
