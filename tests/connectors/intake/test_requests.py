"""Requests: strict, checked, and never repeated in an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.intake.case import case_of, read_request
from schemas.errors import Invalid
from tests.connectors.intake.holdings import OWNER, a_request, who

WRONG = OWNER.id[:-1] + ("0" if OWNER.id[-1] != "0" else "1")


def changed(path: str, value: Any) -> bytes:
    """A good request with one member set."""
    request = a_request()
    place: Any = request
    *steps, last = path.split(".")
    for step in steps:
        place = place[step]
    place[last] = value
    return json.dumps(request).encode()


class TestReading:
    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            ("extra", 1, "unknown member"),
            ("subject.self", {"type": "cn.phone", "id": "1"}, "subject.self.type"),
            ("subject.agent", {"type": "cn.uscc", "id": "1"}, "subject.agent.type"),
            ("authority.officer", "", "authority.officer"),
            ("authority.case", f"of {OWNER.id}", "authority.case"),
            ("answers.public_drain", "yes", "answers.public_drain"),
            ("answers.premises.floor_area_m2", -1, "floor_area_m2"),
            ("answers.premises.floor_area_m2", "NaN", "floor_area_m2"),
            ("answers.premises.floor_area_m2", True, "floor_area_m2"),
            ("answers.premises.tenure", "squatted", "tenure"),
            ("answers.shareholders", [who(OWNER)] * 51, "shareholders"),
            ("bundle", "x" * 201, "bundle"),
        ],
    )
    def test_whatever_does_not_fit_is_named(self, path: str, value: Any, said: str) -> None:
        """The member is named, its value is not."""
        with pytest.raises(Invalid, match=said) as raised:
            read_request(changed(path, value))

        assert OWNER.id not in str(raised.value)

    def test_a_stranger_s_member_name_is_not_repeated(self) -> None:
        """A member's name may be somebody's number."""
        with pytest.raises(Invalid) as raised:
            read_request(changed(f"answers.{OWNER.id}", 1))

        assert OWNER.id not in str(raised.value) + raised.value.zh

    @pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"bundle": 1}', b"\xff"])
    def test_no_request_at_all(self, body: bytes) -> None:
        """Anything else is an error of the sender."""
        with pytest.raises(Invalid):
            read_request(body)


class TestChecking:
    @pytest.mark.parametrize(
        ("path", "value", "said"),
        [
            ("subject.self", {"type": "cn.resident_id", "id": WRONG}, "subject.self.id"),
            ("answers.shareholders", [{"type": "cn.uscc", "id": "91"}], "answers.shareholders.id"),
            ("answers.premises", {"unit_no": "12"}, "answers.premises.unit_no"),
        ],
    )
    def test_a_number_that_fails_its_check(self, path: str, value: Any, said: str) -> None:
        """The error says which member and not which number."""
        with pytest.raises(Invalid, match=said) as raised:
            case_of(read_request(changed(path, value)))

        assert WRONG not in str(raised.value) + raised.value.zh

    def test_a_lower_case_x_and_full_width_digits_are_the_same_person(self) -> None:
        """Numbers are brought to their one spelling."""
        wide = "".join(chr(ord(c) + 0xFEE0) for c in OWNER.id)

        case = case_of(read_request(changed("subject.self.id", wide)))

        assert OWNER == case.in_role("self")[0].subject
