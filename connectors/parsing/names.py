"""The names of a file's columns: each has one, each is there once, and some of them are known."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.parsing.faults import Fault


def check_names(names: Sequence[str], owed: Sequence[str]) -> None:
    """Raises `Fault`. A name that is missing is left to whoever knows what may change."""
    for column, name in enumerate(names, 1):
        if not name:
            raise Fault("nameless-column", column=column)
        if name in names[: column - 1]:
            raise Fault("name-twice", column=column)
    if owed and not set(owed) & set(names):
        raise Fault("no-header")
