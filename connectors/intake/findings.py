"""What a proof, an option or a rule comes to, and which of several findings counts.

An option needs all of its proofs, so its worst finding counts; a rule needs any of its options, so
its best one does. A finding carries the records that it rests on, whether they said yes or no.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import chain

from connectors.intake.words import TELLING_FIRST, Status, Why
from schemas.grant import Subject

# From best to worst. What a source cannot say now comes before what the applicant must do instead:
# nobody is asked for a thing that may be held.
RANK: tuple[Status, ...] = (
    Status.SATISFIED,
    Status.PENDING,
    Status.CONTESTED,
    Status.UNAVAILABLE,
    Status.NEEDS_CONFIRMATION,
    Status.MISSING,
)


@dataclass(frozen=True)
class Evidence:
    """One record that an answer rests on: which source said it, of whom, as of when.

    `record` names one of several records of the same subject (a license by its identifier).
    """

    resource: str
    subject: Subject = field(repr=False)
    role: str
    source: str
    as_of: datetime
    receipt: str = ""
    record: str = ""
    valid_until: date | None = None


@dataclass(frozen=True)
class Finding:
    """What one proof, option or rule comes to."""

    status: Status
    why: Why
    via: str = ""
    evidence: tuple[Evidence, ...] = ()
    resource: str = ""
    rule: str = ""
    reason: str = ""
    reason_zh: str = ""
    needs: str = ""
    text: str = ""
    text_en: str = ""
    officer_checks: tuple[str, ...] = ()
    since: datetime | None = None


def best(findings: Sequence[Finding]) -> Finding | None:
    """Return the best finding; among misses, the one that tells the applicant most."""
    return min(findings, key=_order, default=None)


def worst(findings: Sequence[Finding]) -> Finding:
    """Return the finding that decides an option; if all are satisfied, with all the evidence."""
    decides = max(findings, key=lambda finding: RANK.index(finding.status))
    if decides.status is not Status.SATISFIED:
        return decides
    seen = chain.from_iterable(finding.evidence for finding in findings)
    return replace(decides, evidence=tuple(dict.fromkeys(seen)))


def _order(finding: Finding) -> tuple[int, int]:
    telling = TELLING_FIRST.index(finding.why) if finding.why in TELLING_FIRST else 0
    return RANK.index(finding.status), telling


def yes(via: str, seen: Evidence) -> Finding:
    return Finding(Status.SATISFIED, Why.HELD, via, (seen,), seen.resource)


def no(
    why: Why,
    *,
    seen: Evidence | None = None,
    resource: str = "",
    rule: str = "",
    reason: str = "",
    reason_zh: str = "",
    needs: str = "",
) -> Finding:
    return Finding(
        Status.MISSING,
        why,
        evidence=(seen,) if seen else (),
        resource=seen.resource if seen else resource,
        rule=rule,
        reason=reason,
        reason_zh=reason_zh,
        needs=needs,
    )
