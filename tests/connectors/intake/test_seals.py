"""Prefilled fields come back: unchanged, edited where that is allowed, or altered."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.intake.document import document
from connectors.intake.form import typed
from connectors.intake.seals import recheck, with_seals
from schemas.codes import code_list
from schemas.errors import Invalid
from tests.connectors.intake.holdings import (
    COMPANY,
    HOLDING,
    OWNER,
    OWNERSHIP,
    REGISTER,
    UNIT,
    Holdings,
    a_license,
    a_request,
    entity,
    owned,
    real,
    resolved,
    who,
)

KEY = b"k" * 32
FIELDS = with_seals(KEY, "res_1", document(resolved(a_request(), real()))["fields"])
AS_SENT: dict[str, Any] = {name: one["value"] for name, one in FIELDS.items()}


def back(**changes: Any) -> Any:
    """The form as it came back."""
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return recheck(KEY, "res_1", FIELDS, {**AS_SENT, **changed})


class TestRecheck:
    def test_unchanged(self) -> None:
        """Everything prefilled is intact, and the form acceptable."""
        checked = back()

        assert checked.acceptable
        assert {name for name, one in FIELDS.items() if one["lock"] != "none"} == set(
            checked.intact
        )

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("legal_representative__name", " 张三 "),
            ("legal_representative__id", OWNER.id.lower()),
            ("premises__area_m2", "120.5"),
            ("premises__area_m2", 120.50),
            ("premises__area_m2", "１２０．５０"),
            ("legal_representative__phone", "138-0000-0000"),
        ],
    )
    def test_another_spelling_of_the_same_value(self, field: str, value: Any) -> None:
        """Values are compared, not strings."""
        assert not back(**{field: value}).altered

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("legal_representative__name", "李四"),
            ("legal_representative__name", None),
            ("legal_representative__name", ""),
            ("premises__area_m2", "1205"),
            ("premises__area_m2", "large"),
            ("premises__area_m2", ["120.5"]),
        ],
    )
    def test_a_verified_field_may_not_be_altered(self, field: str, value: Any) -> None:
        """The answer lists what was altered."""
        checked = back(**{field: value})

        assert (field.replace("__", "."),) == checked.altered
        assert not checked.acceptable

    def test_a_suggested_field_may_be_edited(self) -> None:
        """An edit is listed and accepted."""
        checked = back(legal_representative__phone="139 1111 1111")

        assert ("legal_representative.phone",) == checked.edited
        assert checked.acceptable

    def test_what_was_never_asked_is_foreign(self) -> None:
        """A field that the form does not have is not slipped in."""
        assert ("bonus",) == back(bonus="1").unknown

    @pytest.mark.parametrize("part", ["source", "as_of", "lock", "type", "value"])
    def test_a_seal_binds_value_source_time_and_lock(self, part: str) -> None:
        """A field whose stored description was changed does not pass."""
        name = "premises.location"
        forged = {**FIELDS, name: {**FIELDS[name], part: "suggested" if part == "lock" else "date"}}
        values = {**AS_SENT, name: forged[name]["value"]}

        assert name not in recheck(KEY, "res_1", forged, values).intact

    def test_a_seal_is_of_one_resolution_and_one_key(self) -> None:
        """A seal of another case, or another key, proves nothing."""
        assert not recheck(KEY, "res_2", FIELDS, AS_SENT).intact
        assert not recheck(b"x" * 32, "res_1", FIELDS, AS_SENT).intact


class TestTyped:
    @pytest.mark.parametrize(
        ("kind", "given", "expected"),
        [
            ("date", "2026-11-22", "2026-11-22"),
            ("date", "2026/1/2", "2026-01-02"),
            ("date", "2026年1月2日", "2026-01-02"),
            ("decimal", "500,000.00", "500000"),
            ("decimal", "0.10", "0.1"),
            ("integer", "3.0", 3),
            ("text", "　示范　餐饮 ", "示范 餐饮"),
            ("text", "", None),
            ("text", None, None),
        ],
    )
    def test_one_value_for_every_spelling(self, kind: str, given: Any, expected: Any) -> None:
        """What two people mean by the same value is the same value."""
        assert expected == typed(kind, given)

    @pytest.mark.parametrize(
        ("kind", "given"),
        [
            ("date", "2026-02-30"),
            ("date", "soon"),
            ("decimal", "1e999"),
            ("decimal", "NaN"),
            ("integer", "3.5"),
        ],
    )
    def test_not_of_its_type(self, kind: str, given: Any) -> None:
        """What cannot be read is said so."""
        with pytest.raises(Invalid):
            typed(kind, given)


class TestForm:
    def test_fields_say_source_time_and_lock(self) -> None:
        """A prefilled value is endorsed, an answered one is not, an open one is to fill."""
        name, area, storey = (
            FIELDS[n]
            for n in ("legal_representative.name", "premises.floor_area_m2", "fire.storey")
        )

        assert ("张三", "verified", "population.resident") == (
            name["value"],
            name["lock"],
            name["source"],
        )
        assert ("180", "none", "answered") == (area["value"], area["lock"], area["state"])
        assert (None, "to_fill", None) == (storey["value"], storey["state"], storey["seal"])

    def test_codes_are_shown_in_words(self) -> None:
        """The value stays the code; people read the label."""
        held = Holdings().plus(OWNERSHIP, UNIT, owned(OWNER, use="31"))
        use = document(resolved(a_request(), held))["fields"]["premises.use"]

        assert ("31", code_list("building_use").label("31")) == (use["value"], use["shown"])

    def test_sources_that_disagree_are_both_shown(self) -> None:
        """The first source fills the field; what the other says stands beside it."""
        request = a_request()
        request["subject"]["entity"] = who(COMPANY)
        held = real().plus(REGISTER, COMPANY, entity("新示范餐饮有限公司", COMPANY))
        held = held.plus(HOLDING, COMPANY, a_license("business-license", "7"))

        field = document(resolved(request, held))["fields"]["entity.name"]

        assert "新示范餐饮有限公司" == field["value"]
        assert [{"source": HOLDING, "value": "示范餐饮有限公司"}] == field["disagrees"]
