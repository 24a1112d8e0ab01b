"""What a row's own past says: an entity's former names, the certificates that a right had before.

Read off the history of a dataset for the rows that one batch changed, in that batch's transaction,
so the cost follows the change. A former name that another entity bears is nobody's alias: it is not
made, and it is ended when somebody takes the name later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import psycopg

from exchange.identity.resolving import spelled_in_sql
from exchange.libraries import aliases

Remember = Callable[[psycopg.Connection, int, str], int]

FORMER_NAMES = """
SELECT DISTINCT h.name, h.uscc FROM library.legal_entity_registration_history h
JOIN library.legal_entity_registration now USING (uscc)
WHERE h._batch_to = %(batch)s AND h.name <> now.name
"""
BORNE = "SELECT name FROM library.legal_entity_registration WHERE name = ANY(%(names)s)"
END_TAKEN = """
UPDATE library.alias a SET until = clock_timestamp()
FROM library.legal_entity_registration n
WHERE n._batch = %(batch)s AND a.alias = {name}
  AND a.kind = 'uscc' AND a.rule = 'former-name' AND a.until IS NULL
"""
OLD_CERTIFICATES = """
SELECT DISTINCT h.certificate_no, now.certificate_no, now.unit_no
FROM library.real_estate_right_history h JOIN library.real_estate_right now USING (right_no)
WHERE h._batch_to = %(batch)s AND h.certificate_no <> now.certificate_no
"""


def remember(conn: psycopg.Connection, dataset: str, batch: int, source: str) -> int:
    """Make aliases of what `batch` changed in `dataset`; how many were new.

    To be called in the transaction that merged the batch, after the rows are written.
    """
    derive = DERIVED.get(dataset)
    return derive(conn, batch, source) if derive else 0


def _names(conn: psycopg.Connection, batch: int, source: str) -> int:
    conn.execute(END_TAKEN.format(name=spelled_in_sql("n.name")).encode(), {"batch": batch})
    former = conn.execute(FORMER_NAMES, {"batch": batch}).fetchall()
    if not former:
        return 0
    borne = {row[0] for row in conn.execute(BORNE, {"names": [name for name, _ in former]})}
    told = [("uscc", name, entity) for name, entity in former if name not in borne]
    return aliases.keep(conn, told, source, batch=batch, rule="former-name")


def _certificates(conn: psycopg.Connection, batch: int, source: str) -> int:
    """An old certificate leads to the one that replaced it, and to the unit."""
    old = conn.execute(OLD_CERTIFICATES, {"batch": batch}).fetchall()
    told = [
        alias
        for before, after, unit in old
        for alias in (("certificate_no", before, after), ("real_estate_unit", before, unit))
    ]
    return aliases.keep(conn, told, source, batch=batch, rule="old-certificate")


DERIVED: Mapping[str, Remember] = MappingProxyType(
    {"legal_entity.registration": _names, "real_estate.right": _certificates}
)
