"""Resolve one case: what the government already holds, what is left, and the form filled in.

`resolve` is pure but for the port it asks through: the same answers of the sources at the same time
give the same resolution. It grants nothing, stores nothing and seals nothing; a source that is down
costs only its own materials.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from connectors.intake import form, materials
from connectors.intake.asking import Answers, Ask, Found, Question, asked, merged
from connectors.intake.bundle import Bundle, thresholds_on
from connectors.intake.case import Case, Party, ResolutionIn, case_of
from connectors.intake.form import Filled
from connectors.intake.materials import Listed, Outcome
from connectors.intake.proofs import Scene
from connectors.intake.savings import RowState, Savings, counted, row_states
from connectors.intake.words import State, Status
from schemas.errors import Invalid
from schemas.grant import Subject
from schemas.identifiers import resident

CIVIL_TIME = ZoneInfo("Asia/Shanghai")
REGISTRATION = "legal_entity.registration"
REPRESENTATIVE = "representative_id"


@dataclass(frozen=True)
class Resolution:
    """The answer to one case."""

    bundle: Bundle
    case: Case
    at: datetime
    valid_until: datetime
    state: State
    decision_allowed: bool
    rows: tuple[Listed, ...]
    row_states: dict[str, RowState]
    materials: tuple[Outcome, ...]
    fields: tuple[Filled, ...]
    savings: Savings
    open_items: frozenset[str]
    answers: Answers

    def decidable(self, item: str) -> bool:
        """Whether an item may be decided: none of its primary materials is unsettled."""
        return not any(_blocks(o, item) for o in self.materials)


async def resolve(bundle: Bundle, request: ResolutionIn, ask: Ask, at: datetime) -> Resolution:
    """Answer a case, asking each (resource, subject) at most once and all of them together.

    Only when the legal representative must first be read from the register are there two rounds.
    Raises `Invalid` for a number that fails its check; never because a source fails.
    """
    scene = _scene(bundle, case_of(request), at)
    known: Answers = {}
    first = [q for q in _questions(scene) if _names_representative(q, scene.case)]
    if first:
        wider = [replace(q, fields=q.fields | {REPRESENTATIVE}) for q in first]
        known = await asked(wider, ask)
        scene = replace(scene, case=_with_representative(scene.case, known))
    rest = [q for q in _questions(scene) if (q.resource, q.subject) not in known]
    return judged(replace(scene, answers={**known, **await asked(rest, ask)}), at)


def judged(scene: Scene, at: datetime) -> Resolution:
    """Judge a case whose sources have answered."""
    rows = materials.listed(scene.bundle, scene)
    every = materials.wanted(scene.bundle, scene.case, rows, scene)
    outcomes = tuple(materials.outcome(one, scene) for one in every)
    fields = form.fields(scene, _row_ids(rows))
    return Resolution(
        bundle=scene.bundle,
        case=scene.case,
        at=at,
        valid_until=_valid_until(scene.bundle, outcomes, at),
        state=_state(outcomes),
        decision_allowed=not any(_blocks(outcome) for outcome in outcomes),
        rows=rows,
        row_states=dict(row_states(rows, outcomes)),
        materials=outcomes,
        fields=fields,
        savings=counted(rows, outcomes, fields),
        open_items=scene.open_items,
        answers=scene.answers,
    )


def _scene(bundle: Bundle, case: Case, at: datetime) -> Scene:
    on = at.astimezone(CIVIL_TIME).date()
    thresholds = thresholds_on(bundle, case.jurisdiction, on)
    return Scene(bundle, case, on, thresholds, materials.open_items(bundle, case, thresholds))


def _questions(scene: Scene) -> tuple[Question, ...]:
    rows = materials.listed(scene.bundle, scene)
    every = materials.wanted(scene.bundle, scene.case, rows, scene)
    proofs = [question for one in every for question in materials.questions(one, scene)]
    return merged([*proofs, *form.questions(scene, _row_ids(rows))])


def _row_ids(rows: tuple[Listed, ...]) -> frozenset[str]:
    return frozenset(one.row.id for one in rows if one.not_needed is None)


def _names_representative(question: Question, case: Case) -> bool:
    entities = [party.subject for party in case.in_role("entity")]
    unnamed = not case.in_role("legal_representative")
    return unnamed and question.resource == REGISTRATION and question.subject in entities


def _with_representative(case: Case, known: Answers) -> Case:
    for said in known.values():
        number = said.values.get(REPRESENTATIVE) if isinstance(said, Found) else None
        try:
            who = Subject("cn.resident_id", resident(str(number)).value) if number else None
        except Invalid:
            who = None
        if who:
            return case.with_party(Party("legal_representative", who))
    return case


def _blocks(outcome: Outcome, item: str | None = None) -> bool:
    wanting = {listed.item.id for listed in outcome.wanted.rows}
    concerns = item is None or item in wanting
    return concerns and outcome.unsettled and outcome.wanted.material.primary


def _state(outcomes: tuple[Outcome, ...]) -> State:
    applying = [outcome for outcome in outcomes if outcome.applies]
    if any(outcome.unsettled for outcome in applying):
        return State.PARTIAL
    done = all(outcome.status is Status.SATISFIED for outcome in applying)
    return State.COMPLETE if done else State.OPEN


def _valid_until(bundle: Bundle, outcomes: tuple[Outcome, ...], at: datetime) -> datetime:
    """The end of the answer: the bundle's hours, or the last day of a license it rests on."""
    last_days = [
        seen.valid_until
        for outcome in outcomes
        if outcome.status is Status.SATISFIED
        for seen in outcome.conclusion.finding.evidence
        if seen.valid_until
    ]
    ends = [datetime.combine(day, time.max, CIVIL_TIME) for day in last_days]
    return min([at + timedelta(hours=bundle.answer_valid_hours), *ends])
