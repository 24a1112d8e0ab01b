"""Which rows and materials a case has, what must be asked for them, and how each material stands.

One person's identity is one material, whoever asks for it and in however many roles. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from connectors.intake.asking import Question
from connectors.intake.bundle import Bundle, Item, Material, Row, Rule
from connectors.intake.case import Case, Party
from connectors.intake.conditions import Condition, holds, named
from connectors.intake.findings import no
from connectors.intake.proofs import Scene
from connectors.intake.rules import Conclusion, Tried, concluded, rule_questions
from connectors.intake.words import Status, Why

BRINGS = frozenset({Why.FORM_TO_CONFIRM, Why.TEXT_TO_SIGN})


@dataclass(frozen=True)
class Listed:
    """A printed row in this case: asked for, or not, and why not."""

    row: Row
    item: Item
    not_needed: Why | None = None


@dataclass(frozen=True)
class Wanted:
    """A merged material in this case and the rows that want it; for an identity, whose."""

    id: str
    material: Material
    rows: tuple[Listed, ...]
    not_needed: Why | None = None
    person: Party | None = field(default=None, repr=False)
    role_name: str = ""
    unnamed: str = ""


@dataclass(frozen=True)
class Outcome:
    """How one material stands, by which rule and option, after trying what."""

    wanted: Wanted
    status: Status
    why: Why
    conclusion: Conclusion
    rule: Rule | None = None

    @property
    def applies(self) -> bool:
        """Whether this case needs the material at all."""
        return self.status is not Status.NOT_APPLICABLE

    @property
    def to_bring(self) -> bool:
        """Whether the applicant must bring, upload, fill in or sign something for it."""
        return self.status in (Status.MISSING, Status.TOLERABLE) or self.why in BRINGS

    @property
    def unsettled(self) -> bool:
        """Whether nobody can say yet: the source is down, or the value is contested."""
        return self.status in (Status.UNAVAILABLE, Status.CONTESTED)


def listed(bundle: Bundle, scene: Scene) -> tuple[Listed, ...]:
    """Return every printed row, and for those not needed here the reason."""
    return tuple(
        Listed(row, bundle.item_by_id[row.item], _row_not_needed(row, bundle, scene))
        for row in bundle.rows
    )


def wanted(
    bundle: Bundle, case: Case, rows: tuple[Listed, ...], scene: Scene
) -> tuple[Wanted, ...]:
    """Merge the rows: every material once, every person's identity once."""
    merged = [_merged(material, rows, scene) for material in bundle.materials if not material.per]
    people = list(_people(bundle, case, [one for one in rows if one.not_needed is None]))
    return tuple(sorted((*merged, *people), key=_first_row(bundle)))


def questions(one: Wanted, scene: Scene) -> Iterator[Question]:
    """Yield what must be asked for a material; nothing for one that is not needed."""
    rule = scene.bundle.rule_for(one.material.id, scene.on)
    if rule and one.not_needed is None:
        yield from rule_questions(rule, scene.about(one.person))


def outcome(one: Wanted, scene: Scene) -> Outcome:
    """Say how a material stands."""
    if one.not_needed is not None:
        return Outcome(one, Status.NOT_APPLICABLE, one.not_needed, Conclusion(no(one.not_needed)))
    rule = scene.bundle.rule_for(one.material.id, scene.on)
    reached = _unanswered(one, scene) or concluded(rule, scene.about(one.person))
    status, why = _told(one, reached, scene.case)
    return Outcome(one, status, why, reached, rule)


def open_items(bundle: Bundle, case: Case, thresholds: Mapping[str, Condition]) -> frozenset[str]:
    """Return the items that this case still goes through; an unanswered condition keeps one."""
    needed = {item.id: holds(item.when, case.answers, thresholds) for item in bundle.items}
    return frozenset(item for item, is_needed in needed.items() if is_needed is not False)


def _first_row(bundle: Bundle) -> Callable[[Wanted], int]:
    order = {row.id: number for number, row in enumerate(bundle.rows)}
    return lambda one: order[one.rows[0].row.id] if one.rows else len(order)


def _row_not_needed(row: Row, bundle: Bundle, scene: Scene) -> Why | None:
    item = bundle.item_by_id[row.item]
    if item.id not in scene.open_items:
        return item.otherwise
    return row.otherwise if _holds(row, scene) is False else None


def _merged(material: Material, rows: tuple[Listed, ...], scene: Scene) -> Wanted:
    wanting = [one for one in rows if material.id in one.row.materials]
    asking = tuple(one for one in wanting if one.not_needed is None)
    if not asking:
        return Wanted(material.id, material, (), wanting[0].not_needed)
    not_needed = material.otherwise if _holds(material, scene) is False else None
    return Wanted(material.id, material, asking, not_needed)


def _people(bundle: Bundle, case: Case, rows: list[Listed]) -> Iterator[Wanted]:
    material, roles_of = bundle.person_material, _roles_by_person(bundle, case)
    for party, roles in roles_of.items():
        wanting = tuple(one for one in rows if roles & set(one.row.people))
        if wanting:
            suffix = f"-{party.number}" if party.number > 1 else ""
            label = next(role.name for role in bundle.people if role.role == party.role)
            yield Wanted(
                f"{material.id}/{party.role}{suffix}", material, wanting, None, party, label
            )
    for role in bundle.people:
        wanting = tuple(one for one in rows if role.role in one.row.people)
        if wanting and role.required and not case.in_role(role.role):
            yield Wanted(
                f"{material.id}/{role.role}",
                material,
                wanting,
                role_name=role.name,
                unnamed=role.role,
            )


def _roles_by_person(bundle: Bundle, case: Case) -> Mapping[Party, set[str]]:
    first: dict[object, Party] = {}
    roles: dict[Party, set[str]] = {}
    for role in bundle.people:
        for party in case.in_role(role.role):
            who = first.setdefault(party.subject, party)
            roles.setdefault(who, set()).add(role.role)
    return roles


def _unanswered(one: Wanted, scene: Scene) -> Conclusion | None:
    needs = one.unnamed or ", ".join(
        name
        for name in named(one.material.when)
        if _holds(one.material, scene) is None and scene.case.answers.get(name) is None
    )
    if not needs:
        return None
    finding = no(Why.ANSWER_NEEDED, needs=needs)
    return Conclusion(finding, tried=(Tried("answer", finding),))


def _told(one: Wanted, reached: Conclusion, case: Case) -> tuple[Status, Why]:
    found = reached.finding
    if found.status is Status.SATISFIED and one.id in case.contested:
        return Status.CONTESTED, Why.APPLICANT_DISAGREES
    if found.status is Status.MISSING and one.material.may_follow:
        return Status.TOLERABLE, Why.MAY_FOLLOW
    return found.status, found.why


def _holds(part: Row | Material, scene: Scene) -> bool | None:
    return holds(part.when, scene.case.answers, scene.thresholds)
