"""`source new`: look at a living source, propose its files, try them, write them.

Nothing is written before everything was tried, and no file that is there is overwritten without
being told to. Raises `Invalid` with what to say instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.feeds import Manifest, load_manifest
from connectors.feeds.file_settings import FileDrop
from connectors.feeds.reaching import place_of, reached
from exchange.sources import asking, delivered, keys, matching, proposal, writing
from exchange.sources.folders import Folders
from exchange.sources.matching import Matching
from exchange.sources.profile import Sample, profiled
from exchange.sources.proposal import Dataset
from exchange.sources.trial import Tried, tried
from schemas.contract import Contract, all_contracts
from schemas.departments import tree
from schemas.errors import Invalid
from schemas.identifiers import KINDS

ALIKE = 0.8  # the share of columns that a dataset must know by name to be taken without being named
PLACEHOLDER_CURSOR = "_"
DATASET = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Wanted:
    """What an engineer says of a new source; the rest is looked up or looked at."""

    source: str
    feed: Mapping[str, Any]
    dataset: str | None = None
    owner: str | None = None
    authority: str | None = None
    title: str | None = None
    schedule: str = "1h"
    key: Sequence[str] = ()
    codes: Sequence[str] = ()
    called: Mapping[str, str] = field(default_factory=dict)
    rows: int = 1000


@dataclass(frozen=True)
class Added:
    """What was proposed: the files by path, how they were tried, what a person must decide."""

    source: str
    dataset: str
    is_new: bool
    files: Mapping[Path, str] = field(repr=False)
    tried: Tried
    todo: Mapping[str, Sequence[str]]
    key: Sequence[str]
    other_keys: Sequence[Sequence[str]]
    cursors: Sequence[str]


def propose(
    wanted: Wanted, folders: Folders, environment: Mapping[str, str], *, anew: bool = False
) -> Added:
    """Look at the source and propose its files; nothing is written.

    `anew` describes a dataset again whose contract is a draft of the installation's own.
    """
    if folders.manifest(wanted.source).exists() and not anew:
        raise _taken(folders.manifest(wanted.source))
    redone = wanted.dataset if anew and _is_draft(folders, wanted.dataset) else None
    known = {each.id: each for each in all_contracts() if each.id != redone}
    if wanted.dataset and not DATASET.fullmatch(wanted.dataset):
        raise Invalid(f"{wanted.dataset} is no dataset: write it as library.name, in lower case")
    owner = _owner(wanted, known)
    feed, rows = _looked_at(wanted, owner, environment)
    sample = profiled(rows, wanted.rows)
    if not rows.num_rows:
        raise Invalid(f"{wanted.source} has no row to look at; try again when it has some")
    dataset = wanted.dataset or _alike(wanted, sample, known.values(), feed)
    if dataset in known:
        return _matched(wanted, folders, known[dataset], owner, feed, sample)
    return _described(wanted, folders, dataset, owner, feed, sample)


def write(added: Added, folders: Folders, *, force: bool = False) -> None:
    """Write the files. Raises `Invalid` when one is there already, unless forced."""
    for path in added.files:
        if path.exists() and not force:
            raise _taken(path)
    for path, text in added.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        partial.write_text(text, "utf-8")
        partial.replace(path)


def _taken(path: Path) -> Invalid:
    return Invalid(f"{path} is there already; --force overwrites it")


def _is_draft(folders: Folders, dataset: str | None) -> bool:
    """Whether nobody has made the contract active yet."""
    if dataset is None or not DATASET.fullmatch(dataset):
        return False
    path = folders.contract(dataset)
    return path.exists() and bool(re.search(r"^status: draft$", path.read_text("utf-8"), re.M))


def _owner(wanted: Wanted, known: Mapping[str, Contract]) -> str:
    if wanted.owner:
        return wanted.owner
    contract = known.get(wanted.dataset or "")
    if contract is not None:
        return contract.owner
    if wanted.dataset is None:
        return "unknown"  # until it is known which dataset it is
    raise Invalid(f"{wanted.dataset} is new: say whose it is with --owner, as 永康市民政局")


def _looked_at(
    wanted: Wanted, owner: str, environment: Mapping[str, str]
) -> tuple[dict[str, Any], pa.Table]:
    """The feed's settings, completed by what can be seen, and the source's first rows."""
    feed = dict(wanted.feed)
    if feed["kind"] == "file_drop":
        feed |= _seen_in_folder(wanted.source, owner, feed, environment)
    if feed["kind"] == "sql_snapshot":
        feed.setdefault("fingerprint", "checksum")
    told = feed["kind"] != "sql_cursor" or "cursor" in feed
    asked = feed if told else {**feed, "cursor": PLACEHOLDER_CURSOR}
    if "settle" in (feed.get("control") or {}):
        asked = {**asked, "control": {"settle": "0s"}}  # to look at it, it need not be old
    rows = asking.sampled(
        asking.looking(wanted.source, owner, asked), environment, limit=wanted.rows
    )
    if not told:
        found = keys.cursors(profiled(rows, wanted.rows))
        if not found:
            raise Invalid(
                f"no column of {wanted.source} says what is new: a time, or a number that rises; "
                "name it with --cursor, or use --kind sql_snapshot"
            )
        feed["cursor"] = found[0]
    return feed, rows


def _seen_in_folder(
    source: str, owner: str, feed: Mapping[str, Any], environment: Mapping[str, str]
) -> dict[str, Any]:
    standing = {"whole": "x_{date}.csv"} if not {"whole", "changes", "prefix"} & feed.keys() else {}
    manifest = asking.looking(source, owner, {**feed, **standing})
    assert isinstance(manifest.feed, FileDrop)
    with reached(manifest), closing(place_of(manifest, manifest.feed, environment)) as place:
        return delivered.described(place, feed)


def _alike(
    wanted: Wanted, sample: Sample, known: Sequence[Contract] | Any, feed: Mapping[str, Any]
) -> str:
    """The dataset that knows nearly all of the columns by name. Raises `Invalid`."""
    base = [contract for contract in known if contract.kind == "base"]
    best = max((matching.matched(sample, each, (), _marks(feed)) for each in base), key=_sure)
    if best.sure >= ALIKE:
        return best.contract.id
    near = f"; the nearest is {best.contract.id}" if best.sure >= ALIKE / 2 else ""
    raise Invalid(
        f"no dataset has the columns of {wanted.source}{near}: name one with --dataset, or a new "
        "one, such as market.stall"
    )


def _sure(found: Matching) -> float:
    return found.sure


def _marks(feed: Mapping[str, Any]) -> frozenset[str]:
    """Columns that tell what became of a row, and are none of its fields."""
    return frozenset(str(feed[name]) for name in ("operation", "sequence") if feed.get(name))


def _matched(
    wanted: Wanted,
    folders: Folders,
    contract: Contract,
    owner: str,
    feed: Mapping[str, Any],
    sample: Sample,
) -> Added:
    if contract.kind != "base":
        raise Invalid(f"{contract.id} is {contract.kind}: it is made here, no source brings it")
    found = matching.matched(sample, contract, _manifests(folders), _marks(feed))
    whose = contract.owner if owner == "unknown" else owner
    draft = writing.draft_of_matched(found, wanted.source, whose, feed, wanted.schedule, sample)
    return _tried(wanted, folders, draft, {}, sample, is_new=False, key=contract.key, others=())


def _described(
    wanted: Wanted,
    folders: Folders,
    dataset: str,
    owner: str,
    feed: Mapping[str, Any],
    sample: Sample,
) -> Added:
    proposed = proposal.dataset(
        dataset,
        wanted.title or dataset,
        owner,
        _authority(wanted, owner),
        sample,
        key=wanted.key,
        codes=wanted.codes,
        called=wanted.called,
        leave_out=_marks(feed),
    )
    files = {folders.contract(dataset): writing.contract_text(proposed)} | _lists(
        folders, proposed, wanted.source
    )
    draft = writing.draft_of_new(proposed, wanted.source, feed, wanted.schedule, sample)
    key, others = proposed.key, proposed.other_keys
    return _tried(wanted, folders, draft, files, sample, is_new=True, key=key, others=others)


def _lists(folders: Folders, proposed: Dataset, source: str) -> dict[Path, str]:
    return {
        folders.code_list(each.coded.code_list): writing.code_list_text(
            each.coded.code_list, each.field.label_zh, source, each.coded.own
        )
        for each in proposed.fields
        if each.coded and each.coded.own
    }


def _tried(
    wanted: Wanted,
    folders: Folders,
    draft: writing.Draft,
    others_files: Mapping[Path, str],
    sample: Sample,
    *,
    is_new: bool,
    key: Sequence[str],
    others: Sequence[Sequence[str]],
) -> Added:
    files = {**others_files, folders.manifest(wanted.source): writing.manifest_text(draft)}
    outcome = tried(folders, files, wanted.source, sample.rows)
    todo = {str(path): writing.todos(text) for path, text in files.items()}
    return Added(
        wanted.source,
        draft.dataset,
        is_new,
        files,
        outcome,
        {path: lines for path, lines in todo.items() if lines},
        key,
        others,
        keys.cursors(sample) if "cursor" in draft.feed else (),
    )


def _authority(wanted: Wanted, owner: str) -> str:
    """The department's unified social credit code: said, or that of its name."""
    if wanted.authority:
        return KINDS["uscc"](wanted.authority).value
    named = {each.name_zh: code for code, each in tree().at(date.today()).items()}
    if owner not in named:
        raise Invalid(
            f"{owner} is not among the departments: say its unified social credit code with "
            "--authority, or add it to the departments folder"
        )
    return named[owner]


def _manifests(folders: Folders) -> list[Manifest]:
    """Those that can be read; one that cannot is no reason not to add another."""
    found = []
    for path in sorted(folders.sources.glob("*.yaml")):
        try:
            found.append(load_manifest(path))
        except Invalid:
            continue
    return found
