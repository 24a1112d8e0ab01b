"""A landed batch against its contract: what may enter, what may not and why, what was mended.

    drift        a column too many, too few or of another type stops the batch
    values       every field by expressions over whole columns (`values.py`)
    rules        the contract's own statements about a row
    duplicates   exact ones enter once; rows that contradict each other all stay out

A row that may not enter carries every reason, as `field:fault`, `rule:name` or `key:conflict`.
Divisions inside numbers and rules of severity `warning` are counted, never a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl
import pyarrow as pa

from connectors.feeds import OPERATION, SEQUENCE, Manifest
from exchange.libraries.batches import Held
from exchange.libraries.merge import FATE, Fate
from exchange.libraries.values import TEXT, UNIT, failed, faults, trimmed, untouched, value
from schemas.codes import code_list
from schemas.contract import Contract, Field
from schemas.errors import Invalid
from schemas.identifiers import KINDS

ROW = "row_number"
REASONS = "reasons"
FAILED = "failed:"
CONFLICT = "key:conflict"
# GB 11643 4.1.1, GB 32100 4.2.3, GB/T 37346: where a number holds a division, and how long.
DIVISION_AT: Mapping[str, int] = {"resident": 0, "uscc": 2, "real_estate_unit": 0}
# Fields that hold an older number of the row's own subject, which people may still ask by.
OLD_NUMBERS: Mapping[str, tuple[str, str]] = {
    "legal_entity.registration": ("uscc", "old_registration_no")
}


class Drifted(Held):
    """The source's columns are not the ones agreed on; `diff` says which."""

    code = "schema-drifted"

    def __init__(self, source: str, diff: list[str]) -> None:
        super().__init__(f"{source} has drifted: {'; '.join(diff)}", rule="drift")
        self.diff = diff


@dataclass(frozen=True)
class Checked:
    """What came of a batch: `staged` has the contract's columns and a fate per key."""

    staged: pl.DataFrame
    bad: pl.DataFrame
    aliases: tuple[tuple[str, str, str], ...]
    counts: Mapping[str, Any]

    @property
    def holding(self) -> int:
        """How many staged rows are to be held afterwards."""
        return int((self.staged[FATE] == Fate.HOLDS).sum())


def check_columns(
    columns: Mapping[str, str], before: Mapping[str, str] | None, manifest: Manifest
) -> None:
    """Compare what came with what the manifest and the last batch say. Raises `Drifted`."""
    ours = {OPERATION, SEQUENCE}
    came = {name: kind for name, kind in columns.items() if name not in ours}
    diff = [f"missing {name}" for name in manifest.source_columns if name not in came]
    if not manifest.may_evolve:
        diff += [f"new {name}" for name in came if name not in manifest.source_columns]
    for name, kind in (before or {}).items():
        if came.get(name, kind) != kind:
            diff.append(f"retyped {name} from {kind} to {came[name]}")
    if diff:
        raise Drifted(manifest.source, diff)


def check(landed: pa.Table, contract: Contract, manifest: Manifest, mode: str) -> Checked:
    """Sort the landed rows into those that may enter and those that may not."""
    frame = _with_values(_texts(landed, contract, manifest), contract, manifest)
    marks = dict(_marks(frame, contract, manifest))
    if mode == "snapshot":
        marks[CONFLICT] = pl.col(ROW).is_in(_conflicts(frame, contract).implode())
    wrong = frame.select(pl.any_horizontal(pl.lit(False), *marks.values())).to_series()
    bad = frame.filter(wrong).with_columns(**marks)
    good = frame.select(_needed(contract)).filter(~wrong)
    last, repeated, duplicates = _last(good, contract)
    mended, aliases = _mended(last, contract)
    counts = {
        "landed": landed.num_rows,
        "quarantined": bad.height,
        "duplicate": duplicates,
        "superseded": repeated - duplicates,
        "removals": int((last[OPERATION] == "D").sum()),
        "mended": mended,
        "flagged": _flagged(last, contract),
        "reasons": {name: count for name in marks if (count := int(bad[name].sum()))},
    }
    return Checked(_staged(last, bad, contract), _quarantined(bad, landed, marks), aliases, counts)


def _needed(contract: Contract) -> list[str]:
    """What is looked at again in rows that may enter; copying the rest would cost the most."""
    numbers = [TEXT + field.name for field in contract.fields if _numbered(field)]
    return [ROW, OPERATION, SEQUENCE, *contract.columns, *numbers]


def _texts(landed: pa.Table, contract: Contract, manifest: Manifest) -> pl.DataFrame:
    """Each field's source text; null throughout where no column feeds the field."""
    raw = pl.from_arrow(landed)
    assert isinstance(raw, pl.DataFrame)
    column_of = {field: column for column, field in manifest.columns.items()}
    for field in column_of.keys() - set(contract.columns):
        raise Invalid(f"{manifest.source} feeds {field}, which {contract.id} does not have")
    texts = [
        _column(raw, column_of.get(field.name), _numbered(field)).alias(TEXT + field.name)
        for field in contract.fields
    ]
    units = [_column(raw, unit.column).alias(UNIT + f) for f, unit in manifest.units.items()]
    changes = (
        [pl.col(OPERATION), pl.col(SEQUENCE)]
        if OPERATION in raw.columns
        else [pl.lit("I").alias(OPERATION), pl.lit(0, pl.Int64).alias(SEQUENCE)]
    )
    numbers = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW)
    return raw.select(numbers, *texts, *units, *changes)


def _column(raw: pl.DataFrame, name: str | None, numbered: bool = False) -> pl.Expr:
    if name is None or name not in raw.columns:
        return pl.lit(None, pl.String)
    return untouched(name) if numbered else trimmed(name)


def _numbered(field: Field) -> bool:
    return field.identifier is not None or field.identifier_by is not None


def _with_values(frame: pl.DataFrame, contract: Contract, manifest: Manifest) -> pl.DataFrame:
    plain = [field for field in contract.fields if field.identifier_by is None]
    by_kind = [field for field in contract.fields if field.identifier_by is not None]
    for fields in (plain, by_kind):  # the second needs the kind, which is among the first
        numbers = [field for field in fields if _numbered(field)]
        frame = frame.with_columns(
            *(value(field, manifest).alias(field.name) for field in fields),
            *(failed(field).alias(FAILED + field.name) for field in numbers),
        )
    return frame


def _marks(
    frame: pl.DataFrame, contract: Contract, manifest: Manifest
) -> Iterator[tuple[str, pl.Expr]]:
    """Every reason by name, true for the rows that have it; a removal needs a key, no more."""
    stays = pl.col(OPERATION) != "D"
    for field in contract.fields:
        asked = pl.lit(True) if field.name in contract.key else stays
        for name, fault in chain(_failures(frame, field), faults(field, manifest)):
            yield f"{field.name}:{name}", (asked & fault).fill_null(False)
    for rule in contract.quality:
        if rule.severity == "error":
            yield f"rule:{rule.name}", (stays & ~pl.sql_expr(rule.expression)).fill_null(False)


def _failures(frame: pl.DataFrame, field: Field) -> Iterator[tuple[str, pl.Expr]]:
    """The checks that some number of the field failed."""
    column = FAILED + field.name
    if column in frame.columns:
        for name in sorted(frame[column].drop_nulls().unique()):
            yield name, pl.col(column) == name


def _conflicts(frame: pl.DataFrame, contract: Contract) -> pl.Series:
    """Rows that contradict another row of their key."""
    named = pl.all_horizontal(pl.col(contract.key).is_not_null())
    repeated = frame.filter(named & _key(contract).is_duplicated())
    versions = pl.struct(contract.columns).n_unique().over(contract.key)
    return repeated.filter(versions > 1)[ROW]


def _last(good: pl.DataFrame, contract: Contract) -> tuple[pl.DataFrame, int, int]:
    """The last thing a change log says of each key, and of exact duplicates one; how many rows
    that leaves out, and how many of those say nothing else than the one that stays."""
    again = good.select(_key(contract).is_duplicated()).to_series()
    if not again.any():
        return good, 0, 0
    rows = good.filter(again)
    kept = rows.sort(SEQUENCE, ROW).unique(contract.key, keep="last")
    left_out = rows.join(kept, on=ROW, how="anti")
    told = [*contract.columns, OPERATION]
    same = left_out.join(kept, on=told, how="semi", nulls_equal=True).height
    return pl.concat([good.filter(~again), kept]), left_out.height, same


def _key(contract: Contract) -> pl.Expr:
    return pl.col(contract.key[0]) if len(contract.key) == 1 else pl.struct(contract.key)


def _staged(last: pl.DataFrame, bad: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    gone = pl.col(OPERATION) == "D"
    fate = pl.when(gone).then(pl.lit(Fate.GONE.value)).otherwise(pl.lit(Fate.HOLDS.value))
    rows = last.select(*contract.columns, fate.alias(FATE))
    named = pl.all_horizontal(pl.col(contract.key).is_not_null())
    kept = (
        bad.filter(named)
        .unique(contract.key)
        .join(rows, on=contract.key, how="anti")
        .select(*contract.columns, pl.lit(Fate.KEPT.value).alias(FATE))
    )
    return pl.concat([rows, kept]).sort(contract.key)  # an index grows cheapest in its own order


def _quarantined(bad: pl.DataFrame, landed: pa.Table, marks: Mapping[str, pl.Expr]) -> pl.DataFrame:
    reasons = pl.concat_list(pl.when(pl.col(name)).then(pl.lit(name)) for name in marks)
    named = bad.select(ROW, reasons.list.drop_nulls().alias(REASONS))
    rows = pl.from_arrow(landed.take(pa.array((named[ROW] - 1).to_list(), pa.int64())))
    assert isinstance(rows, pl.DataFrame)
    return named.hstack(rows)


def _mended(
    last: pl.DataFrame, contract: Contract
) -> tuple[dict[str, int], tuple[tuple[str, str, str], ...]]:
    """What was changed in identifiers, by kind of change, and the older numbers met."""
    changes: Counter[str] = Counter()
    aliases: set[tuple[str, str, str]] = set()
    for field, kind, rows in _identified(last, contract):
        sent = rows.filter(pl.col(TEXT + field.name) != pl.col(field.name))[TEXT + field.name]
        for number in sent:
            normalised = KINDS[kind](number)
            changes.update(normalised.changes)
            if normalised.alias:
                aliases.add((kind, normalised.alias, normalised.value))
    if contract.id in OLD_NUMBERS:
        kind, old = OLD_NUMBERS[contract.id]
        pairs = last.filter(pl.col(old).is_not_null()).select(old, contract.key[0])
        aliases.update((kind, alias, subject) for alias, subject in pairs.iter_rows())
    return dict(changes), tuple(sorted(aliases))


def _identified(
    last: pl.DataFrame, contract: Contract
) -> Iterator[tuple[Field, str, pl.DataFrame]]:
    """Each identifier field with each of its kinds and the rows of that kind."""
    for field in contract.fields:
        if field.identifier:
            yield field, field.identifier, last
        if field.identifier_by:
            for code, kind in field.identifier_by.kinds.items():
                yield field, kind, last.filter(pl.col(field.identifier_by.column) == code)


def _flagged(last: pl.DataFrame, contract: Contract) -> dict[str, int]:
    divisions = list(code_list("divisions").values)
    flags: dict[str, int] = {}
    for field, kind, rows in _identified(last, contract):
        if kind in DIVISION_AT:
            inside = pl.col(field.name).str.slice(DIVISION_AT[kind], 6)
            unknown = rows.select((~inside.is_in(divisions)).sum()).item()
            flags[f"{field.name}:division"] = flags.get(f"{field.name}:division", 0) + unknown
    for rule in contract.quality:
        if rule.severity == "warning":
            flags[f"rule:{rule.name}"] = last.select((~pl.sql_expr(rule.expression)).sum()).item()
    return {name: count for name, count in flags.items() if count}
