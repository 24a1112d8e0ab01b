"""A resolution as JSON: what stands, why, who was asked, and what to do next.

No identity number of a party is repeated here but where the form itself has that field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from string import Template
from typing import Any

from connectors.intake.asking import Found, NoRecord, Outcome, RefusedBy
from connectors.intake.findings import Evidence
from connectors.intake.form import Filled
from connectors.intake.materials import Outcome as Material
from connectors.intake.resolve import Resolution
from connectors.intake.words import Status, Why
from schemas.codes import code_list

Json = dict[str, Any]
BLANK = "＿＿＿＿＿＿"


def document(resolution: Resolution) -> Json:
    """Return the resolution as JSON, before storing gives it an id, a revision and seals."""
    return {
        "bundle": resolution.bundle.id,
        "state": resolution.state.value,
        "at": resolution.at.isoformat(),
        "valid_until": resolution.valid_until.isoformat(),
        "decision_allowed": resolution.decision_allowed,
        "items": [
            _item(resolution, item.id)
            for item in resolution.bundle.items
            if item.id in resolution.open_items
        ],
        "savings": asdict(resolution.savings),
        "materials": [_material(one, resolution) for one in resolution.materials],
        "rows": [_row(resolution, row_id) for row_id in resolution.row_states],
        "fields": {one.id: _field(one) for one in resolution.fields},
        "asked": list(_asked(resolution)),
    }


def asks(one: Material, resolution: Resolution) -> list[Json]:
    """Say what the applicant can do for a material; empty for whatever is held or under way."""
    finding, offers = one.conclusion.finding, _offers(one)
    match one.status, one.why:
        case Status.NEEDS_CONFIRMATION, Why.FORM_TO_CONFIRM:
            return [{"option": "confirm_form"}]
        case Status.NEEDS_CONFIRMATION, Why.TEXT_TO_SIGN:
            text = _draft(finding.needs, resolution)
            return [{"option": "sign", "draft": finding.needs, "text": text}, *offers]
        case Status.NEEDS_CONFIRMATION, _:
            return [_commitment(one), *offers]
        case Status.MISSING, Why.ANSWER_NEEDED:
            return [{"option": "answer", "needs": finding.needs}]
        case ((Status.MISSING | Status.TOLERABLE | Status.CONTESTED), _):
            return offers
        case _:
            return []


def _item(resolution: Resolution, item_id: str) -> Json:
    item = resolution.bundle.item_by_id[item_id]
    return {
        "id": item.id,
        "name": item.name,
        "name_en": item.name_en,
        "department": item.department,
        "result": item.result,
        "waits_for": [before for before in item.after if before in resolution.open_items],
        "decision_allowed": resolution.decidable(item.id),
    }


def _material(one: Material, resolution: Resolution) -> Json:
    wanted, material = one.wanted, one.wanted.material
    whose = f"（{wanted.role_name}）" if wanted.role_name else ""
    shown: Json = {
        "id": wanted.id,
        "name": material.name + whose,
        "name_en": material.name_en,
        "wanted_by": _wanted_by(one),
        "rows": [listed.row.id for listed in wanted.rows],
        "status": one.status.value,
        "why": one.why.value,
        "primary": material.primary,
        "by": _by(one),
        "tried": [_tried(tried) for tried in one.conclusion.tried] if not _settled(one) else [],
        "ask": asks(one, resolution),
    }
    return shown | _status_members(one)


def _status_members(one: Material) -> Json:
    finding, material = one.conclusion.finding, one.wanted.material
    match one.status:
        case Status.PENDING:
            return {"awaits": finding.needs}
        case Status.UNAVAILABLE:
            since = finding.since.isoformat() if finding.since else None
            return {"since": since, "fallback": _fallback(one), "backfill": True}
        case Status.TOLERABLE if material.may_follow:
            follow = material.may_follow
            return {"undertake_by": follow.until, "blocks": "issue", "note": follow.text}
        case _:
            return {}


def _settled(one: Material) -> bool:
    return one.status in (Status.SATISFIED, Status.PENDING, Status.NOT_APPLICABLE)


def _wanted_by(one: Material) -> list[str]:
    items = {listed.item.id: listed.item for listed in one.wanted.rows}
    return [f"{item.department}/{item.name}" for item in items.values()]


def _by(one: Material) -> Json | None:
    finding = one.conclusion.finding
    if one.rule is None or finding.status is Status.MISSING:
        return None
    return {
        "rule": one.rule.id,
        "option": one.conclusion.option,
        "mode": finding.via or None,
        "evidence": [_evidence(seen) for seen in finding.evidence],
        **({"officer_checks": list(finding.officer_checks)} if finding.officer_checks else {}),
    }


def _evidence(seen: Evidence) -> Json:
    return {
        "resource": seen.resource,
        "role": seen.role,
        "record": seen.record or None,
        "source": seen.source,
        "as_of": seen.as_of.isoformat(),
        "receipt": seen.receipt or None,
    }


def _tried(tried: Any) -> Json:
    finding = tried.finding
    told = {
        "option": tried.option,
        "resource": finding.resource,
        "outcome": finding.why.value,
        "rule": finding.rule,
        "reason": finding.reason,
        "reason_zh": finding.reason_zh,
        "needs": finding.needs,
    }
    return {name: value for name, value in told.items() if value}


def _offers(one: Material) -> list[Json]:
    return [
        {name: value for name, value in offer.model_dump(mode="json").items() if value}
        for offer in one.wanted.material.from_applicant
    ]


def _fallback(one: Material) -> list[Json]:
    promised = [
        {"option": "commitment", "commitment": tried.finding.needs}
        for tried in one.conclusion.tried
        if tried.finding.via == "commitment"
    ]
    return [*_offers(one), *promised]


def _commitment(one: Material) -> Json:
    finding = one.conclusion.finding
    return {
        "option": "commit",
        "commitment": finding.needs,
        "text": finding.text,
        "text_en": finding.text_en,
    }


def _draft(name: str, resolution: Resolution) -> str:
    """Fill a standard text from the form; what the form does not know yet stays blank."""
    values: dict[str, list[str]] = {}
    for one in resolution.fields:
        if one.value is not None:
            values.setdefault(one.entry.id, []).append(str(one.value))
    return _Draft(resolution.bundle.drafts[name]).substitute(
        _Blanks({field: "、".join(several) for field, several in values.items()})
    )


class _Draft(Template):
    braceidpattern = r"[a-z_]+\.[a-z_0-9]+"


class _Blanks(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return BLANK


def _row(resolution: Resolution, row_id: str) -> Json:
    row = next(one.row for one in resolution.rows if one.row.id == row_id)
    return {
        "id": row.id,
        "item": row.item,
        "name": row.name,
        "copies": row.copies,
        "channel": row.channel,
        "source": row.source,
        "label": row.label,
        "state": resolution.row_states[row_id].value,
    }


def _field(one: Filled) -> Json:
    return {
        "label": one.entry.label,
        "label_en": one.entry.label_en,
        "type": one.entry.type,
        "rows": list(one.rows),
        "value": one.value,
        "shown": _shown(one),
        "lock": one.lock.value,
        "state": one.state.value,
        "source": one.source or None,
        "as_of": one.as_of.isoformat() if one.as_of else None,
        "seal": None,
        "disagrees": [{"source": d.source, "value": d.value} for d in one.disagrees],
    }


def _shown(one: Filled) -> str | None:
    """A coded value in words."""
    codes = code_list(one.entry.codes) if one.entry.codes else ()
    return code_list(one.entry.codes).label(str(one.value)) if one.value in codes else None


def _asked(resolution: Resolution) -> Iterator[Json]:
    roles: dict[object, list[str]] = {}
    case = resolution.case
    for party in (*case.parties, *case.in_role("premises")):
        roles.setdefault(party.subject, []).append(party.role)
    for (resource, subject), said in resolution.answers.items():
        yield {"resource": resource, "about": roles.get(subject, []), **_said(said)}


def _said(said: Outcome) -> Json:
    match said:
        case Found():
            as_of = said.as_of.isoformat()
            return {"outcome": "found", "as_of": as_of, "receipt": said.receipt or None}
        case NoRecord():
            return {"outcome": "no_record", "receipt": said.receipt or None}
        case RefusedBy():
            return {"outcome": "refused", "rule": said.rule, "receipt": said.receipt or None}
        case _:
            return {"outcome": "source_down", "receipt": None}
