"""The messages of PostgreSQL's `pgoutput` plugin, read into changes of one table.

Protocol version 1: https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html.
A change is an operation and the values of a row by column. What an update did not touch and the
server therefore did not send is `UNCHANGED`, unless the row before it was sent too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from connectors.feeds.source import Operation


class Unchanged:
    """The value of a large column that an update did not touch."""


UNCHANGED: Final = Unchanged()
Value = str | None | Unchanged
Change = tuple[Operation, Mapping[str, Value]]
Truncated = Literal["truncated"]

_BOOLEAN, _BLANK_PADDED = 16, 1042  # type numbers of pg_type: bool, bpchar
_BOOLEANS = {"t": "true", "f": "false"}


@dataclass(frozen=True)
class Relation:
    """A table as it was when the messages after this one were written."""

    columns: Sequence[str]
    types: Sequence[int]
    identity: frozenset[str]


class Output:
    """Remembers the relations that messages refer to; one object reads one stretch of a slot."""

    def __init__(self, key: Sequence[str] = ()) -> None:
        self._relations: dict[int, Relation] = {}
        self._key = key

    def changes(self, message: bytes) -> Iterator[Change]:
        """What a message says of rows: nothing, one change, or two where a row's key changed."""
        kind = message[:1]
        if kind == b"R":
            number, relation = _relation(message)
            self._relations[number] = relation
        elif kind in (b"I", b"U", b"D"):
            yield from self._change(kind, message)

    def identity(self) -> frozenset[str]:
        """The columns by which the source tells rows apart."""
        return frozenset().union(*(each.identity for each in self._relations.values()))

    def _change(self, kind: bytes, message: bytes) -> Iterator[Change]:
        relation = self._relations[struct.unpack_from(">i", message, 1)[0]]
        rows = dict(_rows(relation, message, 5))
        new, old = rows.get(b"N"), rows.get(b"O") or rows.get(b"K")
        if kind == b"I":
            assert new is not None
            yield "I", new
        elif kind == b"D":
            assert old is not None
            yield "D", old
        else:
            assert new is not None
            if old is not None and self._moved(rows, new):
                yield "D", old
            yield "U", _filled(new, rows.get(b"O"))

    def _moved(self, rows: Mapping[bytes, Mapping[str, Value]], new: Mapping[str, Value]) -> bool:
        """Whether it is another row now: an old key alone is only sent when it has changed."""
        if b"K" in rows:
            return True
        return any(rows[b"O"].get(column) != new.get(column) for column in self._key)


def _filled(new: Mapping[str, Value], old: Mapping[str, Value] | None) -> Mapping[str, Value]:
    if old is None:
        return new
    return {name: old[name] if value is UNCHANGED else value for name, value in new.items()}


def _relation(message: bytes) -> tuple[int, Relation]:
    number = struct.unpack_from(">i", message, 1)[0]
    at = message.index(0, message.index(0, 5) + 1) + 2  # two names, then the identity's kind
    (count,) = struct.unpack_from(">h", message, at)
    at += 2
    names, types, identity = [], [], set[str]()
    for _ in range(count):
        end = message.index(0, at + 1)
        name = message[at + 1 : end].decode()
        names.append(name)
        types.append(struct.unpack_from(">i", message, end + 1)[0])
        if message[at] & 1:
            identity.add(name)
        at = end + 9
    return number, Relation(names, types, frozenset(identity))


def _rows(
    relation: Relation, message: bytes, at: int
) -> Iterator[tuple[bytes, Mapping[str, Value]]]:
    while at < len(message):
        kind = message[at : at + 1]
        values, at = _values(relation, message, at + 3)
        if kind == b"K":
            values = {name: values[name] for name in values if name in relation.identity}
        yield kind, values


def _values(relation: Relation, message: bytes, at: int) -> tuple[dict[str, Value], int]:
    """The values of a row from `at` on, as `column::text` would show them, and where it ends."""
    values: dict[str, Value] = {}
    for name, number in zip(relation.columns, relation.types, strict=True):
        kind = message[at : at + 1]
        at += 1
        if kind == b"t":
            (length,) = struct.unpack_from(">i", message, at)
            values[name] = _as_cast(message[at + 4 : at + 4 + length].decode(), number)
            at += 4 + length
        else:
            values[name] = UNCHANGED if kind == b"u" else None
    return values, at


def _as_cast(text: str, number: int) -> str:
    if number == _BOOLEAN:
        return _BOOLEANS[text]
    return text.rstrip(" ") if number == _BLANK_PADDED else text
