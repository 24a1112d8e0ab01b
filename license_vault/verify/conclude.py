"""The last steps, which need more than the document: its status, and its place in the log.

Whoever calls fetches the evidence; nothing here talks to anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from license_vault import jws, log, status_list
from license_vault.jws import BadToken
from license_vault.trust import TrustBundle, UntrustedChain, check_chain
from license_vault.verify.report import (
    REASONS,
    Examined,
    Outcome,
    Pointer,
    Report,
    Step,
    Stopped,
    Trail,
    stop,
)
from schemas.errors import Invalid, Unavailable, YizhanError

# Asks the hub for the status list at an address of its own; raises `Unavailable`.
StatusSource = Callable[[str], str]

WORDS = {int(slot): slot.name.lower() for slot in status_list.Slot}
LEEWAY = timedelta(seconds=60)


@dataclass(frozen=True)
class StatusEvidence:
    """A status list token, and whether it was just fetched or came with the trust bundle."""

    token: str
    fresh: bool


def evidence_for(
    pointer: Pointer, trust: TrustBundle, online: StatusSource | None
) -> StatusEvidence | None:
    """Find the status list: from the hub when it may be asked, else from the bundle, else None.

    Only addresses of the bundle's own hub are asked: an address in a document is not an invitation.
    """
    if online is not None and trust.answers_for(pointer.uri):
        try:
            return StatusEvidence(online(pointer.uri), fresh=True)
        except Unavailable:
            return None
    held = trust.status_lists.get(pointer.uri)
    return StatusEvidence(held, fresh=False) if held else None


def conclude(
    examined: Examined,
    trust: TrustBundle,
    at: datetime,
    status: StatusEvidence | None,
    proof: bytes | None = None,
) -> Report:
    """Add status and log to what the document told, and say the verdict."""
    if examined.stopped is not None:
        return _report(examined, list(examined.steps), examined.stopped, at, None)
    trail, as_of = Trail(examined.form, list(examined.steps)), None
    try:
        as_of = _status(examined.pointer, status, trust, at, trail)
        if examined.form == "pdf":
            _log(examined, proof, trust, trail)
    except Stopped as stopped:
        trail.ended(stopped)
        return _report(examined, trail.steps, stopped.reason, at, as_of)
    return _report(examined, trail.steps, "proved", at, as_of)


def _report(
    examined: Examined, steps: list[Step], reason: str, at: datetime, as_of: datetime | None
) -> Report:
    return Report(
        REASONS[reason].verdict, reason, examined.form, tuple(steps), examined.facts, at, as_of
    )


def _status(
    pointer: Pointer | None,
    evidence: StatusEvidence | None,
    trust: TrustBundle,
    at: datetime,
    trail: Trail,
) -> datetime:
    """Read the license's bits from a list that is proved to be the hub's (section 8.3)."""
    if pointer is None or evidence is None:
        stop("status-unavailable", "no status list could be had")
    try:
        listed = status_list.parse(evidence.token, uri=pointer.uri)
        chain = jws.chain(listed.token)
        jws.check_signature(listed.token, chain[0].public_key())
        check_chain(chain, trust.roots, at)
        value = listed.statuses.at(pointer.index)
    except (BadToken, UntrustedChain, Invalid) as err:
        raise Stopped("bad-status-list", err.message) from err
    as_of = datetime.fromtimestamp(listed.issued_at, UTC)
    _check_age(listed, evidence, as_of, at)
    age = max(at - as_of, timedelta())
    word = WORDS.get(value, str(value))
    told = f"slot {pointer.index} says {word}, as of {as_of.isoformat()} ({_spoken(age)} old)"
    if value == status_list.Slot.INVALID:
        stop("revoked", told)
    if value == status_list.Slot.SUSPENDED:
        stop("suspended", told)
    if value != status_list.Slot.VALID:
        stop("bad-status-list", told)
    trail.passed("status", told + ("" if evidence.fresh else ", from the trust bundle"))
    return as_of


def _check_age(
    listed: status_list.StatusToken, evidence: StatusEvidence, as_of: datetime, at: datetime
) -> None:
    if as_of > at + LEEWAY:
        stop("bad-status-list", f"signed at {as_of.isoformat()}, which is not yet")
    ends = listed.expires_at
    too_old = ends is not None and at.timestamp() >= ends
    # A fresh answer must be fresh: a hub, or somebody between, may not replay an older list.
    limit = timedelta(seconds=status_list.TTL_SECONDS) + LEEWAY
    if too_old or (evidence.fresh and at - as_of > limit):
        stop("status-stale", f"the list is of {as_of.isoformat()}, {_spoken(at - as_of)} old")


def _log(examined: Examined, proof: bytes | None, trust: TrustBundle, trail: Trail) -> None:
    if proof is None or trust.log_key is None:
        missing = "no log proof beside the file" if proof is None else "the log's key is not known"
        trail.passed("log", missing, outcome=Outcome.ABSENT)
        return
    try:
        logged = log.verify_proof_file(proof, record=examined.record, vkey=trust.log_key)
        if logged.entry.get("event") != "issue":
            raise log.BadProof("the log entry is not about the issue of a license")
    except YizhanError as err:
        raise Stopped("bad-log-proof", err.message) from err
    size = logged.checkpoint.size
    trail.passed("log", f"entry {logged.index} of {size} in {logged.checkpoint.origin}")


def _spoken(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}s"
    return f"{seconds} seconds"
