"""Every rule, option by option, generated from the data: with its holdings, and with one less."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.intake.bundle import (
    ByAttribute,
    ByCommitment,
    ByEarlier,
    ByForm,
    ByLicense,
    ByPredicate,
    ByText,
    Option,
    Proof,
    Rule,
)
from connectors.intake.materials import Outcome
from connectors.intake.predicates import CATALOGUE
from schemas.grant import Subject
from tests.connectors.intake.holdings import (
    BUNDLE,
    COMPANY,
    HOLDING,
    INVESTOR,
    OWNER,
    UNIT,
    Holdings,
    Record,
    a_license,
    a_request,
    entity,
    owned,
    person,
    resolved,
    who,
    with_planned,
)

ALL_LIVE = with_planned()
Held = tuple[str, Subject, Record]

SAYS_YES: dict[str, Held] = {
    "person_alive": ("population.resident", OWNER, person("张三", OWNER)),
    "id_matches_name": ("population.resident", OWNER, person("张三", OWNER)),
    "entity_active": ("legal_entity.registration", COMPANY, entity("示范餐饮有限公司", COMPANY)),
    "owner_of": ("real_estate_registration.ownership", UNIT, owned(OWNER, co_ownership="1")),
    "sole_owner_of": ("real_estate_registration.ownership", UNIT, owned(OWNER)),
    "has_registered_owner": ("real_estate_registration.ownership", UNIT, owned(OWNER)),
}


def every_option() -> list[Any]:
    """Each rule's options, named as in evidence."""
    return [
        pytest.param(rule, option, id=f"{rule.id}/{option.id}")
        for rule in BUNDLE.rules
        for option in rule.any_
    ]


def holding_for(proof: Proof, option: Option) -> Held | None:
    """The one record that makes a proof hold."""
    corporate = option.id.startswith("corporate")
    match proof:
        case ByLicense(license="business-license"):
            return (HOLDING, INVESTOR if corporate else COMPANY, a_license("business-license", "7"))
        case ByLicense(license=kind):
            return (HOLDING, OWNER, a_license(kind, "8"))
        case ByAttribute():
            return (proof.attribute, UNIT, dict(proof.equals))
        case ByPredicate(predicate="entity_active") if corporate:
            return ("legal_entity.registration", INVESTOR, entity("示范投资有限公司", INVESTOR))
        case ByPredicate():
            return SAYS_YES[proof.predicate]
        case _:
            return None


def held_for(option: Option) -> Holdings:
    """What must be held for an option, and nothing else."""
    holdings = Holdings()
    for held in {id(h): h for p in option.all_ if (h := holding_for(p, option))}.values():
        if held[2] not in holdings.records.get(held[:2], ()):
            holdings = holdings.plus(*held)
    return holdings


def request_for(rule: Rule, option: Option) -> dict[str, Any]:
    """A case in which the option is open."""
    request = a_request(tenure="leased" if option.id.startswith(("owner-", "lease-")) else "own")
    if option.id.startswith("corporate"):
        request["answers"]["shareholders"] = [who(INVESTOR)]
    if rule.material == "M-BIZ-LICENSE" and option.id != "result-of-registration":
        request["subject"]["entity"] = who(COMPANY)
    for proof in option.all_:
        if isinstance(proof, ByCommitment):
            request["answers"]["commitments"] = [proof.commitment]
    return request


def material(rule: Rule, option: Option, request: dict[str, Any], held: Holdings) -> Outcome:
    """The material that the rule is about; for an identity, of the shareholder or the applicant."""
    made = resolved(request, held, ALL_LIVE)
    wanted = "M-ID/shareholder" if option.id.startswith("corporate") else "M-ID/legal"
    name = wanted if rule.material == "M-ID" else rule.material
    return next(one for one in made.materials if one.wanted.id.startswith(name))


@pytest.mark.parametrize(("rule", "option"), every_option())
class TestEveryOption:
    def test_holds_with_what_it_needs(self, rule: Rule, option: Option) -> None:
        """With its proofs and nothing else, the material stands by this option."""
        one = material(rule, option, request_for(rule, option), held_for(option))

        assert option.id == one.conclusion.option
        asked_of_applicant = any(isinstance(p, (ByForm, ByText)) for p in option.all_)
        waits = any(isinstance(p, ByEarlier) for p in option.all_)
        expected = "needs_confirmation" if asked_of_applicant else "satisfied"
        assert one.status == ("pending" if waits else expected)

    def test_fails_with_one_proof_less(self, rule: Rule, option: Option) -> None:
        """Each proof in turn is taken away: the material no longer stands by this option."""
        request, held = request_for(rule, option), held_for(option)
        less = [(request, held.less(*one)) for one in held.each()]
        less += [(without(proof, request), held) for proof in option.all_ if given(proof)]
        less += [(request, everything()) for proof in option.all_ if signed(proof)]
        assert less

        for one in (material(rule, option, *case) for case in less):
            assert (option.id, "satisfied") != (one.conclusion.option, one.status)
            assert one.to_bring or one.why == "commitment_to_sign"


def given(proof: Proof) -> bool:
    """Whether a proof rests on the case itself, not on a record."""
    return isinstance(proof, (ByCommitment, ByEarlier))


def signed(proof: Proof) -> bool:
    """Whether a proof is the applicant's whatever is held."""
    return isinstance(proof, (ByForm, ByText))


def without(proof: Proof, request: dict[str, Any]) -> dict[str, Any]:
    """The same case without what a proof rests on: the promise, or the item that is still open."""
    if isinstance(proof, ByCommitment):
        return {**request, "answers": {**request["answers"], "commitments": []}}
    return {**request, "subject": {**request["subject"], "entity": who(COMPANY)}}


def everything() -> Holdings:
    """All records of all options together."""
    holdings = Holdings()
    for _, option, proof in BUNDLE.proofs():
        held = holding_for(proof, option)
        if held and held[2] not in holdings.records.get(held[:2], ()):
            holdings = holdings.plus(*held)
    return holdings


class TestTablesAreWhole:
    def test_every_predicate_has_a_row_that_says_yes(self) -> None:
        """A new predicate needs its record here."""
        assert set(CATALOGUE) == set(SAYS_YES)

    def test_every_material_with_a_rule_is_tried(self) -> None:
        """Rules speak of materials that exist."""
        assert {rule.material for rule in BUNDLE.rules} <= {one.id for one in BUNDLE.materials}
