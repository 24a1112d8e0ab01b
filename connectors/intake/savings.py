"""The savings receipt: how many documents the guides list, and how many are left to bring.

The counting rule. One row is one document as printed. Open clauses are never counted; a conditional
row counts only in its variant. A row is saved only when the applicant neither brings nor uploads
anything for it. Forms that merge are counted apart: together they leave one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connectors.intake.form import FieldState, Filled
from connectors.intake.materials import Listed, Outcome
from connectors.intake.words import Status


class RowState(StrEnum):
    """What becomes of one printed row."""

    FORM = "form"
    HELD = "held"
    EARLIER_ITEM = "earlier_item"
    COMMITMENT = "commitment"
    STILL_OPEN = "still_open"
    TO_BRING = "to_bring"


SUPPLIED = frozenset({RowState.HELD, RowState.EARLIER_ITEM, RowState.COMMITMENT})


@dataclass(frozen=True)
class Savings:
    """The numbers. `listed` = `supplied_by_hub` + forms merged away + `still_open` + what is left.

    `applicant_must_bring` counts rows and the one form; `documents_to_bring` counts merged
    materials, so a paper that serves two rows is one. A saving on a row that no guide confirms is
    under `to-check` in `by_label` and is not evidence.
    """

    listed: int
    after_merge: int
    supplied_by_hub: int
    supplied: Mapping[str, int]
    still_open: int
    applicant_must_bring: int
    documents_to_bring: int
    forms_before: int
    forms_after: int
    fields_prefilled: int
    fields_total: int
    departments: int
    by_label: Mapping[str, Mapping[str, int]]


def row_states(rows: Sequence[Listed], outcomes: Sequence[Outcome]) -> Mapping[str, RowState]:
    """Say of every row that applies what becomes of it."""
    resting = [
        (outcome, {one.row.id for one in outcome.wanted.rows})
        for outcome in outcomes
        if outcome.applies
    ]
    return {
        one.row.id: _row_state(one, [outcome for outcome, ids in resting if one.row.id in ids])
        for one in rows
        if one.not_needed is None
    }


def counted(
    rows: Sequence[Listed], outcomes: Sequence[Outcome], fields: Sequence[Filled]
) -> Savings:
    """Count a case by the counting rule."""
    states = row_states(rows, outcomes)
    applying = [one for one in rows if one.row.id in states]
    tally = {state: list(states.values()).count(state) for state in RowState}
    forms_after = min(1, tally[RowState.FORM])
    return Savings(
        listed=len(applying),
        after_merge=sum(outcome.applies for outcome in outcomes),
        supplied_by_hub=sum(tally[state] for state in SUPPLIED),
        supplied={state.value: tally[state] for state in RowState if state in SUPPLIED},
        still_open=tally[RowState.STILL_OPEN],
        applicant_must_bring=tally[RowState.TO_BRING] + forms_after,
        documents_to_bring=sum(outcome.applies and outcome.to_bring for outcome in outcomes),
        forms_before=tally[RowState.FORM],
        forms_after=forms_after,
        fields_prefilled=sum(one.state is FieldState.PREFILLED for one in fields),
        fields_total=len(fields),
        departments=len({one.item.department for one in applying}),
        by_label=_by_label(applying, states),
    )


def _row_state(one: Listed, resting_on: Sequence[Outcome]) -> RowState:
    if one.row.channel == "form":
        return RowState.FORM
    if any(outcome.to_bring for outcome in resting_on):
        return RowState.TO_BRING
    if any(outcome.unsettled for outcome in resting_on):
        return RowState.STILL_OPEN
    if any(outcome.conclusion.finding.via == "commitment" for outcome in resting_on):
        return RowState.COMMITMENT
    if any(outcome.status is Status.PENDING for outcome in resting_on):
        return RowState.EARLIER_ITEM
    return RowState.HELD


def _by_label(
    rows: Sequence[Listed], states: Mapping[str, RowState]
) -> Mapping[str, Mapping[str, int]]:
    labels = sorted({one.row.label for one in rows})
    of = {label: [one.row.id for one in rows if one.row.label == label] for label in labels}
    return {
        label: {"listed": len(ids), "supplied": sum(states[row] in SUPPLIED for row in ids)}
        for label, ids in of.items()
    }
