"""What each answer of a source does to the materials, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.intake.asking import Outcome, RefusedBy, SourceDown
from connectors.intake.document import document
from tests.connectors.intake.holdings import (
    AGENT,
    AT,
    BUNDLE,
    COMPANY,
    HOLDING,
    OTHER_UNIT,
    OWNER,
    OWNERSHIP,
    PARTNER,
    POPULATION,
    REGISTER,
    STRANGER,
    UNIT,
    Holdings,
    Record,
    a_license,
    a_request,
    entity,
    owned,
    person,
    real,
    resolved,
    standing,
    who,
)

LEGAL = "M-ID/legal_representative"


def shown(made: Any, material: str) -> dict[str, Any]:
    """A material as JSON."""
    return next(one for one in document(made)["materials"] if one["id"] == material)


class TestIdentity:
    @pytest.mark.parametrize(
        ("record", "expected"),
        [
            (person("张三", OWNER), ("satisfied", "held")),
            (person("张 三", OWNER), ("satisfied", "held")),
            (person("張三", OWNER), ("missing", "name_differs")),
            (person("李四", OWNER), ("missing", "name_differs")),
            (person("张三", OWNER, deceased=True), ("missing", "person_deceased")),
            (None, ("missing", "no_record")),
        ],
    )
    def test_name_number_and_alive(self, record: Record | None, expected: tuple[str, str]) -> None:
        """The register must know the number, under the claimed name, of a living person."""
        held = Holdings() if record is None else Holdings().plus(POPULATION, OWNER, record)

        assert expected == standing(resolved(a_request(), held))[LEGAL]

    def test_one_person_in_three_roles_is_one_material_asked_once(self) -> None:
        """Representative, shareholder and officer in one: one look-up serves A3, A5 and E3."""
        holdings = real()
        made = resolved(a_request(officers=[who(OWNER)]), holdings)

        assert ["A3", "A5", "E3"] == shown(made, LEGAL)["rows"]
        assert 1 == len([resource for resource, *_ in holdings.asked if resource == POPULATION])

    def test_a_partner_who_is_not_found_costs_only_the_row_of_shareholders(self) -> None:
        """A3 needs both shareholders; A5 and E3 rest on the representative alone."""
        made = resolved(a_request(shareholders=[who(OWNER), who(PARTNER)]), real())

        assert ("missing", "no_record") == standing(made)["M-ID/shareholder-2"]
        assert "to_bring" == made.row_states["A3"]
        assert {"held"} == {made.row_states[row] for row in ("A5", "E3")}

    def test_nobody_named_is_an_answer_that_is_needed(self) -> None:
        """Shareholders who were not named are not pretended to be known."""
        made = resolved(a_request(shareholders=[]), real())

        assert ("missing", "answer_needed") == standing(made)["M-ID/shareholder"]
        assert [{"option": "answer", "needs": "shareholder"}] == shown(made, "M-ID/shareholder")[
            "ask"
        ]

    def test_the_representative_of_a_company_is_read_from_the_register(self) -> None:
        """Only the company is named: its representative is looked up, then verified."""
        request = a_request()
        request["subject"] = {"self": who(COMPANY)}
        held = real().plus(REGISTER, COMPANY, entity("示范餐饮有限公司", COMPANY))

        made = resolved(request, held)

        assert ("satisfied", "held") == standing(made)[LEGAL]
        assert "held" == made.row_states["E3"]


class TestBusinessLicence:
    def case(self, *records: tuple[str, Record], entity_named: bool = True) -> Any:
        """A case with a company and what is held of it."""
        request = a_request()
        if entity_named:
            request["subject"]["entity"] = who(COMPANY)
        held = real()
        for resource, record in records:
            held = held.plus(resource, COMPANY, record)
        return resolved(request, held)

    @pytest.mark.parametrize(
        ("records", "expected"),
        [
            ([(HOLDING, a_license("business-license", "7"))], ("satisfied", "held")),
            ([(REGISTER, entity("示范餐饮", COMPANY))], ("satisfied", "held")),
            (
                [(HOLDING, a_license("business-license", "7", status="revoked"))],
                ("missing", "not_valid"),
            ),
            (
                [(HOLDING, a_license("business-license", "7", valid_to="2026-11-21"))],
                ("missing", "not_valid"),
            ),
            (
                [(HOLDING, a_license("business-license", "7", valid_to="2026-11-22"))],
                ("satisfied", "held"),
            ),
            (
                [(HOLDING, a_license("business-license", "7", valid_from="2026-11-23"))],
                ("missing", "not_valid"),
            ),
            ([(HOLDING, a_license("real-estate-certificate", "8"))], ("missing", "no_record")),
            (
                [
                    (HOLDING, a_license("business-license", "7")),
                    (REGISTER, entity("示范餐饮", COMPANY, status="2")),
                ],
                ("missing", "not_valid"),
            ),
            ([], ("missing", "no_record")),
        ],
    )
    def test_license_or_register(
        self, records: list[tuple[str, Record]], expected: tuple[str, str]
    ) -> None:
        """A valid license or an active registration; the register prevails over the face."""
        made = self.case(*records)

        assert expected == standing(made)["M-BIZ-LICENSE"]

    def test_before_registration_it_follows_from_item_a(self) -> None:
        """Nobody is asked for what item A will issue; items B to E wait for it."""
        made = self.case(entity_named=False)

        assert ("pending", "awaits_item") == standing(made)["M-BIZ-LICENSE"]
        assert "A" == shown(made, "M-BIZ-LICENSE")["awaits"]
        assert {"B", "C", "D", "E"} == {
            item["id"] for item in document(made)["items"] if item["waits_for"]
        }

    def test_a_registered_company_does_not_register_again(self) -> None:
        """Item A is done: its rows are not listed, so they are no saving either."""
        made = self.case((HOLDING, a_license("business-license", "7")))

        assert ("not_applicable", "item_done") == standing(made)["M-ARTICLES"]
        assert 21 == made.savings.listed


class TestPremises:
    @pytest.mark.parametrize(
        ("rows", "certificates", "title", "consent"),
        [
            ([owned(OWNER)], [], "held", "held"),
            ([owned(OWNER, co_ownership="1"), owned(PARTNER)], [], "held", "holder_differs"),
            ([owned(STRANGER)], [], "holder_differs", "holder_differs"),
            ([], [UNIT], "held", "no_record"),
            ([], [OTHER_UNIT], "no_record", "no_record"),
            ([owned(STRANGER)], [UNIT], "holder_differs", "holder_differs"),
            ([], [], "no_record", "no_record"),
        ],
    )
    def test_who_owns_it(
        self, rows: list[Record], certificates: list[Any], title: str, consent: str
    ) -> None:
        """Register or certificate prove the title; the register prevails; a co-owner is asked."""
        held = Holdings()
        for row in rows:
            held = held.plus(OWNERSHIP, UNIT, row)
        for unit in certificates:
            face = {"unit_no": unit.id}
            held = held.plus(HOLDING, OWNER, a_license("real-estate-certificate", "8", face=face))

        stands = standing(resolved(a_request(), held))

        assert (title, consent) == (stands["M-TITLE"][1], stands["M-OWNER-CONSENT"][1])

    def test_a_leased_place_needs_the_lease_and_the_owner_s_consent(self) -> None:
        """The owner's title comes from the register; lease and consent are the applicant's."""
        stands = standing(resolved(a_request(tenure="leased"), real(leased=True)))

        assert ("satisfied", "held") == stands["M-TITLE"]
        assert ("missing", "no_source_holds_it") == stands["M-LEASE"]
        assert ("missing", "holder_differs") == stands["M-OWNER-CONSENT"]

    def test_own_or_leased_must_be_answered(self) -> None:
        """Without the answer nothing is assumed, and the applicant is asked that one thing."""
        made = resolved(a_request(tenure=None), real())

        assert ("missing", "answer_needed") == standing(made)["M-TITLE"]
        assert [{"option": "answer", "needs": "tenure"}] == shown(made, "M-LEASE")["ask"]

    def test_selling_the_house_changes_the_answer_of_buyer_and_seller(self) -> None:
        """Only the register changed."""
        before = real()
        after = before.less(OWNERSHIP, UNIT, owned(OWNER)).plus(OWNERSHIP, UNIT, owned(STRANGER))
        buyer = a_request(shareholders=[who(STRANGER)])
        buyer["subject"] = {"self": who(STRANGER)}

        told = [
            standing(resolved(case, held))["M-TITLE"]
            for case in (a_request(), buyer)
            for held in (before, after)
        ]

        no, yes = ("missing", "holder_differs"), ("satisfied", "held")
        assert [yes, no, no, yes] == told


class TestSourceDown:
    def test_costs_only_its_own_materials_and_no_decision(self) -> None:
        """The applicant goes on; what was not answered has a fallback, and blocks the decision."""
        holdings = Holdings(real().records, {POPULATION: SourceDown(AT)})
        made, well = resolved(a_request(), holdings), resolved(a_request(), real())

        assert {LEGAL} == {
            name for name, said in standing(made).items() if said != standing(well)[name]
        }
        assert ("unavailable", "source_down") == standing(made)[LEGAL]
        assert ("partial", False) == (made.state, made.decision_allowed)
        told = shown(made, LEGAL)
        assert [] == told["ask"]
        assert ["window_check", "upload"] == [one["option"] for one in told["fallback"]]
        assert AT.isoformat() == told["since"]

    def test_only_items_that_rest_on_it_wait(self) -> None:
        """A and E rest on identities; the sign and the fire check may be decided."""
        made = resolved(a_request(), Holdings(real().records, {POPULATION: SourceDown()}))

        undecidable = {i["id"] for i in document(made)["items"] if not i["decision_allowed"]}
        assert {"A", "E"} == undecidable

    def test_another_option_may_still_hold(self) -> None:
        """The register is down, the certificate is there."""
        made = resolved(a_request(), Holdings(real().records, {OWNERSHIP: SourceDown()}))

        assert ("satisfied", "held") == standing(made)["M-TITLE"]
        assert ("unavailable", "source_down") == standing(made)["M-OWNER-CONSENT"]

    def test_fields_say_that_the_source_is_down(self) -> None:
        """A field is not silently empty."""
        made = resolved(a_request(), Holdings(real().records, {OWNERSHIP: SourceDown()}))

        assert "source_down" == document(made)["fields"]["premises.location"]["state"]

    def test_everything_down_still_answers(self) -> None:
        """There is an answer, whatever fails."""
        dead = {source.resource: SourceDown() for source in BUNDLE.sources}
        made = resolved(a_request(), Holdings({}, dead))

        assert not made.decision_allowed
        assert made.savings.still_open > 0


class TestRefusedByGrant:
    @pytest.mark.parametrize(
        ("outcome", "expected"),
        [
            (RefusedBy("field-outside-grant"), ("missing", "refused_by_grant")),
            (RefusedBy("quota-per-day", passing=True), ("unavailable", "quota_spent")),
        ],
    )
    def test_the_rule_is_told(self, outcome: RefusedBy, expected: tuple[str, str]) -> None:
        """What no grant allows must be brought, and the answer names the rule that refused."""
        made = resolved(a_request(), Holdings(real().records, {POPULATION: outcome}))

        assert expected == standing(made)[LEGAL]
        tried = shown(made, LEGAL)["tried"]
        assert [outcome.rule] == [one["rule"] for one in tried]

    def test_a_value_that_is_not_shown_proves_nothing(self) -> None:
        """A masked field does not come back, and is no proof."""
        record = {k: v for k, v in person("张三", OWNER).items() if k != "name"}

        class Masked(Holdings):
            async def ask(self, resource: str, subject: Any, fields: tuple[str, ...]) -> Outcome:
                shown = fields
                if resource == POPULATION:
                    shown = tuple(name for name in fields if name != "name")
                return await super().ask(resource, subject, shown)

        made = resolved(a_request(), Masked({(POPULATION, OWNER): (record,)}))

        assert ("missing", "refused_by_grant") == standing(made)[LEGAL]


class TestApplicant:
    def test_may_contest_what_is_held(self) -> None:
        """A contested material gets a way to bring another, and waits for a decision."""
        made = resolved(a_request(contested=["M-TITLE"]), real())

        assert ("contested", "applicant_disagrees") == standing(made)["M-TITLE"]
        assert ["upload"] == [one["option"] for one in shown(made, "M-TITLE")["ask"]]
        assert not made.decision_allowed

    def test_signs_texts_that_are_written_for_them(self) -> None:
        """The articles are drawn up from the form; what is not known yet is blank."""
        ask = shown(resolved(a_request(), real()), "M-ARTICLES")["ask"][0]

        assert "sign" == ask["option"]
        assert "公司法定代表人：张三" in ask["text"]
        assert "公司名称：＿＿" in ask["text"]
        assert "$" not in ask["text"]

    def test_commits_in_writing_in_place_of_the_water_test(self) -> None:
        """The words are shown, and the officer is told what nobody could look up."""
        offered = shown(resolved(a_request(), real()), "M-WATER-TEST")
        given = resolved(a_request(commitments=["water-test"]), real())

        assert "commit" == offered["ask"][0]["option"]
        assert "本人承诺" in offered["ask"][0]["text"]
        assert ["no_bad_credit_flag"] == offered["by"]["officer_checks"]
        assert ("satisfied", "committed") == standing(given)["M-WATER-TEST"]

    def test_may_hand_over_fire_papers_at_the_site_check(self) -> None:
        """Tolerable only where the guide prints it, and nothing is issued before."""
        told = shown(resolved(a_request(), real()), "M-FIRE-RULES")

        assert ("tolerable", "site_check", "issue") == (
            told["status"],
            told["undertake_by"],
            told["blocks"],
        )

    def test_an_agent_s_identity_is_looked_up_and_the_delegation_is_not_waived(self) -> None:
        """One delegation serves both items."""
        made = resolved(a_request(agent=True), real())

        assert ("satisfied", "held") == standing(made)["M-ID/agent"]
        assert ["G1", "G3"] == shown(made, "M-DELEGATION")["rows"]
        assert ("missing", "only_applicant_has_it") == standing(made)["M-DELEGATION"]

    def test_without_an_agent_nobody_is_looked_up(self) -> None:
        """What is not needed is not asked."""
        holdings = real()
        resolved(a_request(), holdings)

        assert AGENT not in {subject for _, subject, _ in holdings.asked}

    def test_of_an_agent_only_the_identity_is_looked_up(self) -> None:
        """Licenses are asked of those who may hold one that counts, with the fields that count."""
        holdings = real()
        resolved(a_request(agent=True), holdings)

        of_agent = [(r, fields) for r, subject, fields in holdings.asked if subject == AGENT]
        assert [(POPULATION, ("deceased", "name", "phone"))] == of_agent


class TestEvidence:
    def test_a_license_limits_the_answer(self) -> None:
        """The answer holds for a day, or until a license that it rests on ends."""
        request = a_request()
        request["subject"]["entity"] = who(COMPANY)
        held = real().plus(
            HOLDING, COMPANY, a_license("business-license", "7", valid_to="2026-11-22")
        )

        assert "2026-11-22" == resolved(request, held).valid_until.date().isoformat()
        assert "2026-11-23" == resolved(request, real()).valid_until.date().isoformat()

    def test_numbers_of_people_are_only_in_the_form(self) -> None:
        """Nothing in the answer names a person by number but the form's own fields."""
        told = document(resolved(a_request(agent=True), real()))
        numbers = [OWNER.id, AGENT.id]

        assert OWNER.id == told["fields"].pop("legal_representative.id")["value"]
        assert not [number for number in numbers if number in str(told)]
