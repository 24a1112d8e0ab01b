"""What one proof needs to be asked, and what the answers say of it. No I/O.

`questions` and `judge` stand side by side for every kind of proof, so that nothing is judged that
was not asked, and nothing is asked that is not judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from connectors.intake.asking import (
    Answers,
    Found,
    NoRecord,
    Outcome,
    Question,
    Record,
    RefusedBy,
    SourceDown,
)
from connectors.intake.bundle import (
    Bundle,
    ByAttribute,
    ByCommitment,
    ByEarlier,
    ByForm,
    ByLicense,
    ByPredicate,
    ByText,
    Proof,
    Source,
)
from connectors.intake.case import Case, Party
from connectors.intake.conditions import Condition
from connectors.intake.findings import Evidence, Finding, best, no, yes
from connectors.intake.predicates import CATALOGUE
from connectors.intake.words import Status, Why

HOLDINGS = "license.holding"
LICENSE_FIELDS = frozenset({"license_id", "type_code", "status", "valid_from", "valid_to"})
VALID = "valid"


@dataclass(frozen=True)
class Scene:
    """All that a judgement may look at: template, case, answers of sources, the day."""

    bundle: Bundle
    case: Case
    on: date
    thresholds: Mapping[str, Condition]
    open_items: frozenset[str]
    answers: Answers = field(default_factory=dict, repr=False)
    person: Party | None = None

    def of(self, role: str) -> tuple[Party, ...]:
        """Everybody a proof means by a role; `person` is the one whose identity is looked at."""
        if role == "person":
            return (self.person,) if self.person else ()
        return self.case.in_role(role)

    def about(self, person: Party | None) -> Scene:
        """The same scene, looked at for one person."""
        return replace(self, person=person)


def questions(proof: Proof, scene: Scene) -> Iterator[Question]:
    """Yield what must be asked to judge a proof."""
    resource, of, fields = _reads(proof)
    source = scene.bundle.source_by_resource.get(resource)
    if source is not None and source.state == "live":
        for party in _fitting(proof, scene.of(of), scene.bundle, source):
            yield Question(resource, party.subject, fields)


def judge(proof: Proof, scene: Scene) -> Finding | None:
    """Judge a proof; `None` when it does not concern this case (no such entity, another kind)."""
    match proof:
        case ByForm():
            return Finding(Status.NEEDS_CONFIRMATION, Why.FORM_TO_CONFIRM, "form")
        case ByText():
            return Finding(
                Status.NEEDS_CONFIRMATION, Why.TEXT_TO_SIGN, "generated", needs=proof.generated
            )
        case ByCommitment():
            return _committed(proof, scene)
        case ByEarlier():
            open_ = proof.earlier in scene.open_items
            waits = Finding(Status.PENDING, Why.AWAITS_ITEM, "earlier", needs=proof.earlier)
            return waits if open_ else None
        case _:
            return _by_record(proof, scene)


def reads(bundle: Bundle) -> Mapping[str, frozenset[str]]:
    """Return, by resource, every field that some rule of a bundle reads."""
    fields: dict[str, frozenset[str]] = {}
    for _, _, proof in bundle.proofs():
        resource, _, wanted = _reads(proof)
        if resource:
            fields[resource] = fields.get(resource, frozenset()) | wanted
    return fields


def valid_licenses(records: Sequence[Record], code: str, on: date) -> list[Record]:
    """Return the licenses of one type that are valid on a day."""
    return [
        held
        for held in records
        if held["type_code"] == code
        and held["status"] == VALID
        and (_day(held["valid_from"]) or on) <= on <= (_day(held["valid_to"]) or on)
    ]


def _reads(proof: Proof) -> tuple[str, str, frozenset[str]]:
    match proof:
        case ByLicense():
            face = frozenset({"face"}) if proof.face else frozenset()
            return HOLDINGS, proof.of, LICENSE_FIELDS | face
        case ByAttribute():
            return proof.attribute, proof.of, frozenset(proof.equals)
        case ByPredicate():
            asked = CATALOGUE[proof.predicate]
            return asked.resource, proof.of, asked.fields
        case _:
            return "", "", frozenset()


def _fitting(proof: Proof, parties: Sequence[Party], bundle: Bundle, source: Source) -> list[Party]:
    """The parties of whom the source can hold what the proof needs; nobody else is asked about."""
    types = set(source.subjects)
    if isinstance(proof, ByLicense):
        types &= set(bundle.licenses[proof.license].holders)
    return [party for party in parties if party.subject.type in types]


def _committed(proof: ByCommitment, scene: Scene) -> Finding:
    given = proof.commitment in scene.case.commitments
    return Finding(
        Status.SATISFIED if given else Status.NEEDS_CONFIRMATION,
        Why.COMMITTED if given else Why.COMMITMENT_TO_SIGN,
        "commitment",
        needs=proof.commitment,
        text=proof.text,
        text_en=proof.text_en,
        officer_checks=proof.officer_checks,
    )


def _by_record(proof: Proof, scene: Scene) -> Finding | None:
    resource, of, fields = _reads(proof)
    source = scene.bundle.source_by_resource[resource]
    if source.state == "planned":
        return no(
            Why.NO_SOURCE_HOLDS_IT,
            resource=resource,
            reason=source.reason,
            reason_zh=source.reason_zh,
        )
    parties = scene.of(of)
    if not parties:
        return None if of == "entity" else no(Why.ANSWER_NEEDED, resource=resource, needs=of)
    fitting = _fitting(proof, parties, scene.bundle, source)
    return best([_of_party(proof, scene, party, resource, fields) for party in fitting])


def _of_party(
    proof: Proof, scene: Scene, party: Party, resource: str, fields: frozenset[str]
) -> Finding:
    outcome = scene.answers.get((resource, party.subject), NoRecord())
    if not isinstance(outcome, Found):
        return _unanswered(outcome, resource)
    seen = Evidence(
        resource, party.subject, party.role, outcome.source, outcome.as_of, outcome.receipt
    )
    if any(name not in record for record in outcome.records() for name in fields):
        return no(Why.REFUSED_BY_GRANT, resource=resource, rule="field-not-shown")
    if fields & outcome.disputed:
        return Finding(
            Status.CONTESTED, Why.DISPUTED_AT_SOURCE, evidence=(seen,), resource=resource
        )
    return _judged(proof, scene, party, outcome.records(), seen)


def _unanswered(outcome: Outcome, resource: str) -> Finding:
    match outcome:
        case SourceDown(since=since):
            return Finding(Status.UNAVAILABLE, Why.SOURCE_DOWN, resource=resource, since=since)
        case RefusedBy(rule=rule, passing=True):
            return Finding(Status.UNAVAILABLE, Why.QUOTA_SPENT, resource=resource, rule=rule)
        case RefusedBy(rule=rule):
            return no(Why.REFUSED_BY_GRANT, resource=resource, rule=rule)
        case _:
            return no(Why.NO_RECORD, resource=resource)


def _judged(
    proof: Proof, scene: Scene, party: Party, records: Sequence[Record], seen: Evidence
) -> Finding:
    match proof:
        case ByLicense():
            return _license(proof, scene, records, seen)
        case ByPredicate():
            who = frozenset(one.subject.id for one in scene.of(proof.who)) if proof.who else ()
            why = CATALOGUE[proof.predicate].judge(records, party, frozenset(who))
            return yes("predicate", seen) if why is None else no(why, seen=seen)
        case ByAttribute():
            fits = any(
                all(str(held[name]) == value for name, value in proof.equals.items())
                for held in records
            )
            return yes("attribute", seen) if fits else no(Why.NOT_VALID, seen=seen)
        case _:
            raise AssertionError(f"{type(proof).__name__} is not judged by records")


def _license(proof: ByLicense, scene: Scene, records: Sequence[Record], seen: Evidence) -> Finding:
    code = scene.bundle.licenses[proof.license].code
    if not any(held["type_code"] == code for held in records):
        return no(Why.NO_RECORD, resource=seen.resource)
    wanted = {name: scene.of(role) for name, role in proof.face.items()}
    absent = next((proof.face[name] for name, parties in wanted.items() if not parties), None)
    if absent is not None:
        return no(Why.ANSWER_NEEDED, resource=seen.resource, needs=absent)
    fitting = [held for held in records if held["type_code"] == code and _face(held, wanted)]
    valid = valid_licenses(fitting, code, scene.on)
    if valid:
        until = _day(valid[0]["valid_to"])
        return yes("license", replace(seen, record=str(valid[0]["license_id"]), valid_until=until))
    if fitting:
        return no(Why.NOT_VALID, seen=replace(seen, record=str(fitting[0]["license_id"])))
    return no(Why.NO_RECORD, resource=seen.resource)


def _face(held: Record, wanted: Mapping[str, tuple[Party, ...]]) -> bool:
    face = held.get("face")
    face = json.loads(face) if isinstance(face, str) else face
    return all(
        isinstance(face, Mapping) and face.get(name) in {party.subject.id for party in parties}
        for name, parties in wanted.items()
    )


def _day(value: object) -> date | None:
    match value:
        case datetime():
            return value.date()
        case date():
            return value
        case str() if value:
            return date.fromisoformat(value[:10])
        case _:
            return None
