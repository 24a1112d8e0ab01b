"""Read bytes by a spec, in this process: what the child does, without the child."""

from __future__ import annotations

import io

from connectors.parsing import forms
from connectors.parsing.faults import Fault
from connectors.parsing.spec import Spec

Row = tuple[str | None, ...]


def rows_of(data: bytes, spec: Spec) -> tuple[tuple[str, ...], list[Row]]:
    """The names and the rows."""
    found = forms.rows(io.BytesIO(data), spec)
    rows = [tuple(row.values()) for batch in found.batches for row in batch.to_pylist()]
    return found.names, rows


def fault_of(data: bytes, spec: Spec) -> tuple[str, int | None]:
    """The code of what is wrong, and the line."""
    try:
        rows_of(data, spec)
    except Fault as fault:
        return fault.code, fault.numbers.get("line")
    return "nothing", None
