"""The template of a bundle: items, printed rows, merged materials, rules, form fields.

Everything is read from YAML beside this module and checked as it is read: a name that nothing
defines, an unknown proof or a misspelt key is refused at load, never at a case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from connectors.intake.conditions import Condition
from connectors.intake.words import Why


class Template(BaseModel):
    """What every part of a template has in common: strict, closed, unchangeable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Item(Template):
    """One service item of the bundle, its department, its result, and the items it waits for."""

    id: str
    name: str
    name_en: str
    department: str
    result: str
    after: tuple[str, ...]
    when: Condition | None = None
    otherwise: Why = Why.ITEM_NOT_NEEDED


class Role(Template):
    """A role whose holders' identity some row asks for."""

    role: str
    name: str
    required: bool


class LicenseKind(Template):
    """A license type by its registered code, and the types of subject that may hold one."""

    code: str
    name: str
    name_en: str
    holders: tuple[str, ...]


class Source(Template):
    """A resource that may be asked (`live`), or that may not yet, with the reason (`planned`)."""

    resource: str
    owner: str
    subject: str
    also: tuple[str, ...] = ()
    state: Literal["live", "planned"]
    reason: str = ""
    reason_zh: str = ""

    @property
    def subjects(self) -> tuple[str, ...]:
        """The types of subject it can be asked about."""
        return (self.subject, *self.also)


class Guide(Template):
    """One published threshold; guides without a date are in force whenever they are adopted."""

    jurisdiction: str
    source: str
    needed: Condition
    valid_from: date | None = None
    valid_to: date | None = None

    def in_force(self, on: date) -> bool:
        """Whether the guide applies on a day."""
        return (self.valid_from or on) <= on <= (self.valid_to or on)


class ThresholdTable(Template):
    """The published versions of one threshold, and the one adopted when nobody says where."""

    id: str
    adopted: str
    guides: tuple[Guide, ...]


class Row(Template):
    """One document as a guide prints it."""

    id: str
    item: str
    name: str
    copies: str
    channel: Literal["form", "applicant", "government", "intermediary"]
    source: str
    label: Literal["published", "to-check"]
    materials: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    when: Condition | None = None
    otherwise: Why = Why.OTHER_VARIANT
    note: str = ""


class Offer(Template):
    """A way in which the applicant may give a material."""

    option: Literal["upload", "window_check"]
    accept: tuple[str, ...] = ()
    text: str = ""
    text_en: str = ""


class MayFollow(Template):
    """Until when a secondary material may follow, in the words of the guide that allows it."""

    until: str
    text: str
    text_en: str


class Material(Template):
    """What rows ask for, merged: one material, whoever wants it."""

    id: str
    name: str
    name_en: str
    primary: bool = True
    per: Literal["person"] | None = None
    when: Condition | None = None
    otherwise: Why = Why.OTHER_VARIANT
    may_follow: MayFollow | None = None
    from_applicant: tuple[Offer, ...] = ()


class ByLicense(Template):
    """A valid license of this kind, held by one in this role; `face` fields equal a role's id."""

    license: str
    of: str
    face: Mapping[str, str] = Field(default_factory=dict)


class ByAttribute(Template):
    """A record of this resource about this role, whose fields hold these values."""

    attribute: str
    of: str
    equals: Mapping[str, str] = Field(default_factory=dict)


class ByPredicate(Template):
    """A yes of the fixed catalogue (`predicates`) about this role, `who` being compared with it."""

    predicate: str
    of: str
    who: str = ""


class ByEarlier(Template):
    """The result of an earlier item of the same case."""

    earlier: str


class ByForm(Template):
    """The merged form, once confirmed."""

    form: str


class ByText(Template):
    """A standard text, generated from the form, for the applicant to sign."""

    generated: str


class ByCommitment(Template):
    """A written commitment (告知承诺) in these words; the officer still checks what is listed."""

    commitment: str
    text: str
    text_en: str
    source: str
    officer_checks: tuple[str, ...] = ()


Proof = ByLicense | ByAttribute | ByPredicate | ByEarlier | ByForm | ByText | ByCommitment


class Option(Template):
    """One way to satisfy a rule: all of its proofs.

    An option that `prevails` (the text names the law) is believed over the others when its record
    says no: a certificate does not stand against the register.
    """

    id: str
    all_: tuple[Proof, ...] = Field(alias="all", min_length=1)
    when: Condition | None = None
    prevails: str = ""


class Rule(Template):
    """What may stand for a material: any of the options. Dated, versioned, owned."""

    material: str
    version: int
    valid_from: date
    valid_to: date | None = None
    owner: str
    signed_off: str = ""
    any_: tuple[Option, ...] = Field(alias="any", min_length=1)

    @property
    def id(self) -> str:
        """The rule as evidence names it, e.g. `M-TITLE@1`."""
        return f"{self.material}@{self.version}"


class Prefill(Template):
    """Where a field's value may come from."""

    resource: str
    of: str
    field: str
    lock: Literal["verified", "suggested"]
    license: str = ""


class FormField(Template):
    """One entry of the merged form's dictionary and the printed forms (rows) that hold it."""

    id: str
    label: str
    label_en: str
    type: Literal["text", "identifier", "phone", "date", "decimal", "integer"]
    rows: tuple[str, ...]
    per: str = ""
    codes: str = ""
    answer: str = ""
    prefill: tuple[Prefill, ...] = ()


class Bundle(Template):
    """The whole template."""

    id: str
    name: str
    name_en: str
    version: int
    valid_from: date
    answer_valid_hours: int
    items: tuple[Item, ...]
    people: tuple[Role, ...]
    licenses: Mapping[str, LicenseKind]
    sources: tuple[Source, ...]
    thresholds: tuple[ThresholdTable, ...]
    rows: tuple[Row, ...]
    materials: tuple[Material, ...]
    rules: tuple[Rule, ...]
    form: tuple[FormField, ...]
    drafts: Mapping[str, str]

    @cached_property
    def item_by_id(self) -> Mapping[str, Item]:
        """Items by their letter."""
        return {item.id: item for item in self.items}

    @cached_property
    def source_by_resource(self) -> Mapping[str, Source]:
        """Sources by resource code."""
        return {source.resource: source for source in self.sources}

    @cached_property
    def person_material(self) -> Material:
        """The material that is asked once per person."""
        return next(material for material in self.materials if material.per == "person")

    def rule_for(self, material: str, on: date) -> Rule | None:
        """The newest rule in force for a material on a day, if the material has one."""
        in_force = [
            rule
            for rule in self.rules
            if rule.material == material and rule.valid_from <= on <= (rule.valid_to or on)
        ]
        return max(in_force, key=lambda rule: rule.version, default=None)

    def proofs(self) -> Iterator[tuple[Rule, Option, Proof]]:
        """Yield every proof of every rule."""
        for rule in self.rules:
            for option in rule.any_:
                for proof in option.all_:
                    yield rule, option, proof


def thresholds_on(bundle: Bundle, jurisdiction: str | None, on: date) -> Mapping[str, Condition]:
    """Choose for each threshold the guide of the jurisdiction, else the adopted one."""
    return {table.id: _guide(table, jurisdiction, on).needed for table in bundle.thresholds}


def _guide(table: ThresholdTable, jurisdiction: str | None, on: date) -> Guide:
    in_force = {guide.jurisdiction: guide for guide in table.guides if guide.in_force(on)}
    return in_force.get(jurisdiction or table.adopted) or in_force[table.adopted]
