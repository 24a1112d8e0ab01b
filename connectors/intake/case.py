"""One case: who applies, for which premises, under which authority, and what was answered so far.

The request is checked strictly; every number passes the check of its kind, and no error repeats it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from connectors.intake.conditions import Answer
from schemas.errors import Invalid
from schemas.grant import Authority, Subject
from schemas.identifiers import KINDS, resident

SUBJECT_KINDS: Mapping[str, str] = {
    "cn.resident_id": "resident",
    "cn.uscc": "uscc",
    "cn.real_estate_unit": "real_estate_unit",
}

LIKE_A_PERSON = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|[0-9]{15})(?![0-9Xx])")


def names_nobody(text: str) -> str:
    """Return a text that is kept in clear. Raises `ValueError` if a resident number is in it."""
    for found in LIKE_A_PERSON.findall(text):
        try:
            resident(found)
        except Invalid:
            continue
        raise ValueError("holds a resident number")
    return text


Line = Annotated[str, Field(min_length=1, max_length=200)]
Clear = Annotated[Line, AfterValidator(names_nobody)]
Amount = Annotated[Decimal, Field(ge=0, le=10**12, decimal_places=2)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PersonIn(_Part):
    """A person or an entity; `name` is compared when given, and looked up when not."""

    type: Literal["cn.resident_id", "cn.uscc"]
    id: Line
    name: Line | None = None


class ResidentIn(PersonIn):
    """A natural person."""

    type: Literal["cn.resident_id"]


class EntityIn(PersonIn):
    """A registered entity."""

    type: Literal["cn.uscc"]


class SubjectIn(_Part):
    """Whom the case is about: the applicant, the entity if it is registered, and any agent."""

    self: PersonIn
    entity: EntityIn | None = None
    agent: ResidentIn | None = None


class AuthorityIn(_Part):
    """Why the sources may be asked; the same five as in every call, kept in clear."""

    purpose: Clear
    basis: Clear
    item: Clear
    case: Clear
    officer: Clear


class PremisesIn(_Part):
    """Where the restaurant will be."""

    unit_no: Line | None = None
    tenure: Literal["own", "leased"] | None = None
    floor_area_m2: Amount | None = None


class AnswersIn(_Part):
    """What the applicant has answered so far."""

    kind: Literal["company", "individual"] = "company"
    legal_representative: ResidentIn | None = None
    shareholders: tuple[PersonIn, ...] = Field(default=(), max_length=50)
    officers: tuple[ResidentIn, ...] = Field(default=(), max_length=50)
    premises: PremisesIn = PremisesIn()
    investment_yuan: Amount | None = None
    public_drain: bool | None = None
    commitments: tuple[Line, ...] = Field(default=(), max_length=50)
    contested: tuple[Line, ...] = Field(default=(), max_length=50)


class ResolutionIn(_Part):
    """The request for a resolution."""

    bundle: Line
    channel: Literal["hall", "online", "system"] = "system"
    jurisdiction: Line | None = None
    subject: SubjectIn
    authority: AuthorityIn
    answers: AnswersIn = AnswersIn()


def read_request(body: bytes) -> ResolutionIn:
    """Read a request from JSON. Raises `Invalid` naming the members, never their values."""
    try:
        return ResolutionIn.model_validate_json(body)
    except ValidationError as err:
        faults = err.errors(include_url=False, include_context=False, include_input=False)
        places = "; ".join(f"{_place(fault['loc'])}: {fault['type']}" for fault in faults[:8])
        raise Invalid(
            f"the request does not fit: {places}", zh=f"请求内容不符合要求：{places}"
        ) from None


def _place(steps: tuple[int | str, ...]) -> str:
    """Name a place by our own names only: a stranger's member name may be somebody's number."""
    known = {name for model in _Part.__subclasses__() for name in model.model_fields}
    named = (str(s) if isinstance(s, int) or s in known else "(unknown member)" for s in steps)
    return ".".join(named) or "the body"


@dataclass(frozen=True)
class Party:
    """Somebody in the case: who, in which role, under which claimed name."""

    role: str
    subject: Subject
    name: str | None = field(default=None, repr=False)
    number: int = 1


@dataclass(frozen=True)
class Case:
    """A request, checked: parties by role, premises, plain answers."""

    bundle: str
    channel: str
    jurisdiction: str | None
    authority: Authority
    parties: tuple[Party, ...]
    premises: Subject | None
    answers: Mapping[str, Answer]
    commitments: frozenset[str]
    contested: frozenset[str]

    def in_role(self, role: str) -> tuple[Party, ...]:
        """Everybody in a role; the applicant is who applies and the entity, if there is one."""
        if role == "premises":
            return (Party("premises", self.premises),) if self.premises else ()
        roles = ("self", "entity") if role == "applicant" else (role,)
        return tuple(party for party in self.parties if party.role in roles)

    def with_party(self, party: Party) -> Case:
        """The case with one more party."""
        return replace(self, parties=(*self.parties, party))


def case_of(request: ResolutionIn) -> Case:
    """Check every number of a request and name the parties. Raises `Invalid` saying which field."""
    premises = request.answers.premises
    unit = premises.unit_no
    return Case(
        bundle=request.bundle,
        channel=request.channel,
        jurisdiction=request.jurisdiction,
        authority=Authority(**request.authority.model_dump()),
        parties=tuple(_parties(request)),
        premises=None
        if unit is None
        else _subject("answers.premises.unit_no", "cn.real_estate_unit", unit),
        answers={
            "kind": request.answers.kind,
            "agent": request.subject.agent is not None,
            "entity": _entity(request.subject) is not None,
            "tenure": premises.tenure,
            "floor_area_m2": premises.floor_area_m2,
            "investment_yuan": request.answers.investment_yuan,
            "public_drain": request.answers.public_drain,
        },
        commitments=frozenset(request.answers.commitments),
        contested=frozenset(request.answers.contested),
    )


def _parties(request: ResolutionIn) -> Iterator[Party]:
    applicant, answers = request.subject.self, request.answers
    legal = answers.legal_representative
    if legal is None and applicant.type == "cn.resident_id":
        legal = ResidentIn(**applicant.model_dump())
    named: list[tuple[str, str, tuple[PersonIn | None, ...]]] = [
        ("self", "subject.self", (applicant,)),
        ("entity", "subject.entity", (_entity(request.subject),)),
        ("agent", "subject.agent", (request.subject.agent,)),
        ("legal_representative", "answers.legal_representative", (legal,)),
        ("shareholder", "answers.shareholders", answers.shareholders),
        ("officer", "answers.officers", answers.officers),
    ]
    for role, place, people in named:
        for number, person in enumerate(filter(None, people), start=1):
            subject = _subject(f"{place}.id", person.type, person.id)
            yield Party(role, subject, person.name, number)


def _entity(subject: SubjectIn) -> PersonIn | None:
    if subject.entity is None and subject.self.type == "cn.uscc":
        return subject.self
    return subject.entity


def _subject(place: str, kind: str, text: str) -> Subject:
    try:
        return Subject(kind, KINDS[SUBJECT_KINDS[kind]](text).value)
    except Invalid as err:
        raise Invalid(f"{place}: {err.message}", zh=f"{place}：{err.zh}") from None
