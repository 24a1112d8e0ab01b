"""Landed rows against their contract: what may enter, what may not and why, what was mended.

    drift        a column too many, too few or of another type stops the batch
    values       every field by expressions over whole columns (`values.py`)
    rules        the contract's own statements about a row
    duplicates   exact ones enter once; rows that contradict each other all stay out

Rows come in chunks and are forgotten chunk by chunk, so a batch may be larger than memory. Those
whose key comes more than once (`keys.repeated`) are put aside and judged together at the end.

A row that may not enter carries every reason, as `field:fault`, `rule:name` or `key:conflict`.
Divisions inside numbers and rules of severity `warning` are counted, never a reason.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl
import pyarrow as pa

from connectors.feeds import OPERATION, SEQUENCE, Manifest
from connectors.feeds.checksum import Digester, digest_bytes
from exchange.libraries import keys
from exchange.libraries.batches import Held
from exchange.libraries.landing import CHUNK, DIGEST
from exchange.libraries.merge import FATE, Fate
from exchange.libraries.values import (
    FAILED,
    ROW,
    TEXT,
    failed,
    faults,
    numbered,
    value,
    with_texts,
)
from schemas.codes import code_list
from schemas.contract import Contract, Field
from schemas.errors import Invalid
from schemas.identifiers import KINDS

REASONS = "reasons"
ROW_DIGEST = "_digest"
CONFLICT = "key:conflict"
# GB 11643 4.1.1, GB 32100 4.2.3, GB/T 37346: where a number holds a division, and how long.
DIVISION_AT: Mapping[str, int] = {"resident": 0, "uscc": 2, "real_estate_unit": 0}

Alias = tuple[str, str, str]  # kind, older number, number


class Drifted(Held):
    """The source's columns are not the ones agreed on; `diff` says which."""

    code = "schema-drifted"

    def __init__(self, source: str, diff: list[str]) -> None:
        super().__init__(f"{source} has drifted: {'; '.join(diff)}", rule="drift")
        self.diff = diff


@dataclass(frozen=True)
class Judged:
    """What came of some rows: `good` has the contract's columns and a fate per key, `bad` what a
    source sent beside its reasons, row number and digest."""

    good: pl.DataFrame
    bad: pl.DataFrame
    aliases: tuple[Alias, ...]


@dataclass
class Tally:
    """What was counted while rows were judged; every landed row has one place in it."""

    landed: int = 0
    quarantined: int = 0
    duplicate: int = 0
    superseded: int = 0
    removals: int = 0
    holding: int = 0
    mended: Counter[str] = dataclasses.field(default_factory=Counter)
    flagged: Counter[str] = dataclasses.field(default_factory=Counter)
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)

    def counts(self) -> dict[str, Any]:
        """The figures as the batch ledger keeps them."""
        groups = {name: dict(+getattr(self, name)) for name in ("mended", "flagged", "reasons")}
        places = ("landed", "quarantined", "duplicate", "superseded", "removals")
        return {**{name: getattr(self, name) for name in places}, **groups}


def drift(
    columns: Mapping[str, str], before: Mapping[str, str] | None, manifest: Manifest
) -> list[str]:
    """Where what came is not what the manifest and the last batch say."""
    ours = {OPERATION, SEQUENCE}
    came = {name: kind for name, kind in columns.items() if name not in ours}
    diff = [f"missing {name}" for name in manifest.source_columns if name not in came]
    if not manifest.may_evolve:
        diff += [f"new {name}" for name in came if name not in manifest.source_columns]
    for name, kind in (before or {}).items():
        if came.get(name, kind) != kind:
            diff.append(f"retyped {name} from {kind} to {came[name]}")
    return diff


def check_columns(
    columns: Mapping[str, str], before: Mapping[str, str] | None, manifest: Manifest
) -> None:
    """Stop a batch whose columns are not those agreed on. Raises `Drifted`."""
    if diff := drift(columns, before, manifest):
        raise Drifted(manifest.source, diff)


def check(
    rows: pa.Table, contract: Contract, manifest: Manifest, mode: str, size: int = CHUNK
) -> tuple[Judged, Tally]:
    """Judge the few rows of a table at once, as those of a landed file in chunks of `size`."""
    chunks = list(_placed(rows, manifest, size))
    judge = Check(contract, manifest, mode, keys.repeated(chunks, contract, manifest))
    judged = [judge.chunk(chunk) for chunk in chunks]
    judged += [rest] if (rest := judge.rest()) else []
    together = Judged(
        pl.concat(each.good for each in judged),
        pl.concat((each.bad for each in judged), how="diagonal_relaxed"),
        tuple(alias for each in judged for alias in each.aliases),
    )
    return together, judge.tally


def _placed(rows: pa.Table, manifest: Manifest, size: int) -> Iterator[pl.DataFrame]:
    with Digester(manifest.source_columns) as digester:
        for place in range(0, max(1, rows.num_rows), size):
            (part,) = rows.slice(place, size).combine_chunks().to_batches() or [_none(rows)]
            chunk = pl.DataFrame(pl.from_arrow(part)).hstack(digester.digests(part))
            numbers = pl.int_range(place + 1, place + 1 + chunk.height, dtype=pl.Int64, eager=True)
            yield chunk.insert_column(0, numbers.alias(ROW))


def _none(rows: pa.Table) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=rows.schema)


class Check:
    """The judge of one batch: hand it every chunk, then ask for `rest`.

    `repeated` are the hashes (`keys.hashes`) of the keys that come more than once. Raises `Invalid`
    where the manifest feeds a field that the contract does not have.
    """

    def __init__(
        self, contract: Contract, manifest: Manifest, mode: str, repeated: pl.Series | None = None
    ) -> None:
        for name in set(manifest.columns.values()) - set(contract.columns):
            raise Invalid(f"{manifest.source} feeds {name}, which {contract.id} does not have")
        self.tally = Tally()
        self._contract = contract
        self._manifest = manifest
        self._contradictions = mode == "snapshot"
        self._repeated = repeated
        self._aside: list[pl.DataFrame] = []

    def chunk(self, rows: pl.DataFrame) -> Judged:
        """Judge rows whose keys come once in the batch, and put the others aside."""
        self.tally.landed += rows.height
        if self._repeated is not None and not self._repeated.is_empty():
            hashes = keys.hashes(rows, self._contract, self._manifest)
            again = hashes.is_in(self._repeated.implode()).fill_null(False)
            self._aside.append(_copied(rows.filter(again)))
            rows = rows.filter(~again)
        return self._judged(rows, alone=True)

    def rest(self) -> Judged | None:
        """Judge together what was put aside; None when nothing was."""
        aside = [rows for rows in self._aside if not rows.is_empty()]
        self._aside = []
        return self._judged(pl.concat(aside), alone=False) if aside else None

    def _judged(self, rows: pl.DataFrame, *, alone: bool) -> Judged:
        contract = self._contract
        frame = _with_values(
            with_texts(rows, contract.fields, self._manifest), contract, self._manifest
        )
        faulty = frame.select(
            **dict(_marks(frame, contract, self._manifest)),
            **({} if alone or not self._contradictions else {CONFLICT: _conflict(frame, contract)}),
        )
        wrong = faulty.select(pl.any_horizontal(pl.lit(False), pl.all())).to_series()
        good = frame.select(_needed(contract)).filter(~wrong)
        last, repeated, duplicates = (good, 0, 0) if alone else _last(good, contract)
        bad = _quarantined(rows.filter(wrong), faulty.filter(wrong))
        aliases = self._count(last, bad, repeated, duplicates)
        return Judged(self._staged(last, frame.filter(wrong)), bad, aliases)

    def _count(
        self, last: pl.DataFrame, bad: pl.DataFrame, repeated: int, duplicates: int
    ) -> tuple[Alias, ...]:
        tally = self.tally
        removals = int((last[OPERATION] == "D").sum())
        tally.quarantined += bad.height
        tally.duplicate += duplicates
        tally.superseded += repeated - duplicates
        tally.removals += removals
        tally.holding += last.height - removals
        tally.reasons.update(_counted(bad[REASONS]))
        tally.flagged.update(_flagged(last, self._contract))
        mended, aliases = _mended(last, self._contract)
        tally.mended.update(mended)
        return aliases

    def _staged(self, last: pl.DataFrame, bad: pl.DataFrame) -> pl.DataFrame:
        """A row for every key that was spoken of, with what shall become of it."""
        contract = self._contract
        gone = pl.col(OPERATION) == "D"
        fate = pl.when(gone).then(pl.lit(Fate.GONE.value)).otherwise(pl.lit(Fate.HOLDS.value))
        rows = last.select(*contract.columns, fate.alias(FATE))
        named = pl.all_horizontal(pl.col(contract.key).is_not_null())
        kept = bad.filter(named)
        if kept.is_empty():
            return rows
        kept = (
            kept.unique(contract.key)
            .join(rows, on=contract.key, how="anti")
            .select(*contract.columns, pl.lit(Fate.KEPT.value).alias(FATE))
        )
        return pl.concat([rows, kept])


def _copied(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without the chunk that they are a few of, whose texts they would keep alive."""
    copied = pl.from_arrow(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))
    assert isinstance(copied, pl.DataFrame)
    return copied


def _needed(contract: Contract) -> list[str]:
    """What is looked at again in rows that may enter; copying the rest would cost the most."""
    numbers = [TEXT + field.name for field in contract.fields if numbered(field)]
    return [ROW, OPERATION, SEQUENCE, *contract.columns, *numbers]


def _with_values(frame: pl.DataFrame, contract: Contract, manifest: Manifest) -> pl.DataFrame:
    plain = [field for field in contract.fields if field.identifier_by is None]
    by_kind = [field for field in contract.fields if field.identifier_by is not None]
    for fields in (plain, by_kind):  # the second needs the kind, which is among the first
        frame = frame.with_columns(value(field, manifest).alias(field.name) for field in fields)
    numbers = [field for field in contract.fields if numbered(field)]
    return frame.with_columns(failed(field).alias(FAILED + field.name) for field in numbers)


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


def _conflict(frame: pl.DataFrame, contract: Contract) -> pl.Series:
    """True for rows that contradict another row of their key."""
    named = pl.all_horizontal(pl.col(contract.key).is_not_null())
    versions = pl.struct(contract.columns).n_unique().over(contract.key)
    return frame.select(named & (versions > 1)).to_series()


def _last(good: pl.DataFrame, contract: Contract) -> tuple[pl.DataFrame, int, int]:
    """The last thing a change log says of each key, and of exact duplicates one; how many rows
    that leaves out, and how many of those say nothing else than the one that stays."""
    kept = good.sort(SEQUENCE, ROW).unique(contract.key, keep="last")
    left_out = good.join(kept, on=ROW, how="anti")
    told = [*contract.columns, OPERATION]
    same = left_out.join(kept, on=told, how="semi", nulls_equal=True).height
    return kept, left_out.height, same


def _quarantined(rows: pl.DataFrame, faulty: pl.DataFrame) -> pl.DataFrame:
    """The rows as they came, with their reasons."""
    names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in faulty.columns]
    reasons = (
        faulty.select(pl.concat_list(names).list.drop_nulls().alias(REASONS)).to_series()
        if names
        else pl.Series(REASONS, [], pl.List(pl.String))
    )
    digests = pl.Series(ROW_DIGEST, digest_bytes(rows), pl.Binary)
    return rows.select(ROW, reasons, digests, pl.exclude(ROW, *DIGEST))


def _counted(reasons: pl.Series) -> dict[str, int]:
    counts = reasons.explode().drop_nulls().value_counts()
    return {str(name): int(count) for name, count in counts.iter_rows()}


def _mended(last: pl.DataFrame, contract: Contract) -> tuple[Counter[str], tuple[Alias, ...]]:
    """What was changed in identifiers, by kind of change, and the older numbers met."""
    changes: Counter[str] = Counter()
    aliases: set[Alias] = set()
    for field, kind, rows in _identified(last, contract):
        sent = rows.filter(pl.col(TEXT + field.name) != pl.col(field.name))[TEXT + field.name]
        for number in sent:
            normalised = KINDS[kind](number)
            changes.update(normalised.changes)
            if normalised.alias:
                aliases.add((kind, normalised.alias, normalised.value))
    for field in contract.fields:
        if field.former_number:
            aliases.update(_former(last, contract, field))
    return changes, tuple(sorted(aliases))


def _former(last: pl.DataFrame, contract: Contract, field: Field) -> Iterator[Alias]:
    """The older numbers of the rows' own subjects."""
    key = contract.field(contract.key[0])
    pairs = last.filter(pl.col(field.name).is_not_null()).select(field.name, key.name)
    return ((key.identifier or key.name, former, number) for former, number in pairs.iter_rows())


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


def _flagged(last: pl.DataFrame, contract: Contract) -> Counter[str]:
    divisions = list(code_list("divisions").values)
    flags: Counter[str] = Counter()
    for field, kind, rows in _identified(last, contract):
        if kind in DIVISION_AT:
            inside = pl.col(field.name).str.slice(DIVISION_AT[kind], 6)
            flags[f"{field.name}:division"] += rows.select((~inside.is_in(divisions)).sum()).item()
    for rule in contract.quality:
        if rule.severity == "warning":
            flags[f"rule:{rule.name}"] += last.select((~pl.sql_expr(rule.expression)).sum()).item()
    return flags
