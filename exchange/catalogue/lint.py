"""What audits find in catalogues, found first: no owner, no update cycle, withheld without a law.

Pure: the metadata, what is known of its surroundings, and the time come in; findings go out. An
error keeps a version from being published; a warning is shown and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from exchange.catalogue.metadata import drafted, same_but_version
from schemas.contract import Contract
from schemas.departments import Tree
from schemas.errors import NotFound
from schemas.grant import Form
from schemas.resource import Metadata

SHANGHAI = ZoneInfo("Asia/Shanghai")
LATE = 2  # times the promised freshness, before a resource is called stale
LAW = re.compile(r"《[^《》]+》|[〔（(][12][0-9]{3}[〕）)][0-9]+号")


class Severity(StrEnum):
    """Whether it may be published like this."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, where, and what to do about it."""

    rule: str
    severity: Severity
    where: str
    says: str


@dataclass(frozen=True)
class Surroundings:
    """What is known beside the metadata. `loaded_at` is when its library last got a batch."""

    departments: Tree
    systems: frozenset[str]
    contract: Contract | None = None
    loaded_at: datetime | None = None


def cites(law: str) -> bool:
    """Say whether a text names a law or a numbered document, and not just a wish."""
    return bool(LAW.search(law))


def lint(said: Metadata, known: Surroundings, at: datetime) -> list[Finding]:
    """Everything that is wrong with a resource, errors first."""
    found = [
        *_owner(said, known, at),
        *_whole(said, known),
        *_fields(said),
        *_fresh(said, known, at),
    ]
    return sorted(found, key=lambda each: (each.severity, each.rule, each.where))


def errors(found: list[Finding]) -> list[Finding]:
    """Those that keep it from being published."""
    return [each for each in found if each.severity is Severity.ERROR]


def _error(rule: str, where: str, says: str) -> Finding:
    return Finding(rule, Severity.ERROR, where, says)


def _warning(rule: str, where: str, says: str) -> Finding:
    return Finding(rule, Severity.WARNING, where, says)


def _owner(said: Metadata, known: Surroundings, at: datetime) -> Iterator[Finding]:
    if not said.provider_code:
        yield _error("no-owner", said.code, "name the one department that answers for it")
        return
    day = at.astimezone(SHANGHAI).date()
    try:
        now = known.departments.successor(said.provider_code, day)
    except NotFound:
        yield _error("no-owner", said.code, f"there is no department {said.provider_code} today")
        return
    if now.code != said.provider_code:
        yield _warning("owner-ended", said.code, f"it is {now.name_zh}'s now ({now.code})")


def _whole(said: Metadata, known: Surroundings) -> Iterator[Finding]:
    if said.cycle is None:
        yield _error("no-update-cycle", said.code, "say how often it is brought up to date")
    if not said.summary.strip():
        yield _error("no-summary", said.code, "say what it is for")
    if not said.fields:
        yield _error("no-fields", said.code, "a resource has at least one field")
    if not said.system:
        yield _warning("no-system", said.code, "name the system that it comes from")
    elif said.system not in known.systems:
        yield _error("system-unknown", said.code, f"register the system {said.system} first")
    if known.contract and not same_but_version(said, _as_proposed(known.contract, said)):
        yield _warning("contract-moved", said.code, "its contract says otherwise: propose again")


def _as_proposed(described: Contract, said: Metadata) -> Metadata:
    """What the contract would be published as today, with everything that people had added."""
    today = drafted(described)
    added = {each.name: each for each in said.fields}
    kept = ("system", "category", "cycle", "open", "open_condition", "related")
    fields = tuple(
        replace(each, condition=added[each.name].condition, forms=added[each.name].forms)
        if each.name in added and each.share_class != "withheld"
        else each
        for each in today.fields
    )
    return replace(today, fields=fields, **{name: getattr(said, name) for name in kept})


def _fields(said: Metadata) -> Iterator[Finding]:
    for each in said.fields:
        where = f"{said.code}.{each.name}"
        if not each.label_zh:
            yield _error("no-label", where, "give it the name that people know")
        if each.share_class == "withheld" and not cites(each.withheld_by):
            yield _error(
                "withheld-without-law", where, "cite the law that withholds it: 《…》第…条"
            )
        if each.share_class == "withheld" and each.forms:
            yield _error("withheld-given", where, "what is withheld is given in no form")
        if each.share_class == "conditional" and not each.condition:
            yield _warning("no-condition", where, "say under which condition it is shared")
        if each.classification == "S4" and Form.PLAIN in each.forms:
            yield _warning("sensitive-plain", where, "would masked, compared or yes/no be enough?")


def _fresh(said: Metadata, known: Surroundings, at: datetime) -> Iterator[Finding]:
    if known.contract is None or known.contract.kind != "base":
        return
    if known.loaded_at is None:
        yield _warning("never-loaded", said.code, "its library holds nothing yet")
    elif at - known.loaded_at > LATE * timedelta(seconds=said.freshness_seconds):
        hours = int((at - known.loaded_at).total_seconds() // 3600)
        yield _warning("stale", said.code, f"nothing has come for {hours} hours; it promises more")
