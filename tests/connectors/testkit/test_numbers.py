"""The city's own check characters, pinned to public examples of the standards."""

from __future__ import annotations

import pytest

from connectors.testkit.city import numbers


class TestPublicExamples:
    @pytest.mark.parametrize(
        "number",
        [
            "11010519491231002X",  # GB 11643-1999, its own examples
            "440524188001010014",
            "810000199408230021",
            "830000199201300022",
            "820000199001010010",
            "911124198108030024",
            "932682198501010017",
        ],
    )
    def test_resident(self, number: str) -> None:
        assert number[17] == numbers.resident_check(number[:17])

    @pytest.mark.parametrize(
        "code",
        [
            "91350100M000100Y43",
            "91110000600037341L",
            "11100000000013338W",
            "11370800MB28559184",
            "N2330784MF1234567J",
        ],
    )
    def test_credit_code(self, code: str) -> None:
        assert code[17] == numbers.credit_check(code[:17])
        assert code[16] == numbers.organisation_check(code[8:16])

    @pytest.mark.parametrize("code", ["D2143569X", "000013338"])
    def test_organisation(self, code: str) -> None:
        assert code[8] == numbers.organisation_check(code[:8])

    def test_fifteen_digits(self) -> None:
        assert "110105491231002" == numbers.short_resident("11010519491231002X")

    def test_unit(self) -> None:
        assert "370105012002GB00001F00010751" == numbers.unit("370105", 1101, 1, 1, 751)

    def test_certificate(self) -> None:
        assert "浙(2024)永康市不动产权第0001234号" == numbers.certificate(2024, 1234)


class TestSpoiled:
    @pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010011"])
    def test_it_differs_in_its_last_character(self, number: str) -> None:
        spoiled = numbers.spoiled(number)

        assert number[:-1] == spoiled[:-1]
        assert number != spoiled
