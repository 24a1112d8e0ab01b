"""National identifiers: every public example passes, every single-character slip is caught."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identifiers import (
    DIGITS_AND_LETTERS,
    KINDS,
    USCC_ALPHABET,
    InvalidIdentifier,
    certificate_no,
    license_id,
    license_id_check,
    org_code,
    real_estate_unit,
    resident,
    uscc,
)
from tests.schemas.numbers import EXAMPLES, FAILING_LICENSE, LICENSES, VALID

EVERY_EXAMPLE = [(kind, text) for kind, texts in EXAMPLES.items() for text in texts]
CHECKED = [(kind, text) for kind, text in EVERY_EXAMPLE if kind in ("resident", "org_code", "uscc")]
DIGITS = "0123456789"


def wide(text: str) -> str:
    """Write a text as a full-width keyboard would."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def failure(kind: str, text: str) -> str:
    """Return the check that refuses the text."""
    with pytest.raises(InvalidIdentifier) as refused:
        KINDS[kind](text)
    return refused.value.check


def refuses(kind: str, text: str) -> bool:
    try:
        KINDS[kind](text)
    except InvalidIdentifier:
        return True
    return False


class TestExamples:
    @pytest.mark.parametrize(("kind", "text"), EVERY_EXAMPLE)
    def test_passes_unchanged(self, kind: str, text: str) -> None:
        """What a standard or a public register prints is valid as it stands."""
        found = KINDS[kind](text)

        assert (text, None, ()) == (found.value, found.alias, found.changes)

    def test_license_whose_check_character_is_wrong(self) -> None:
        """A published identifier that computes D, and says M, is named for what it is."""
        assert "check-character" == failure("license_id", FAILING_LICENSE)

    def test_foreigner_sample_that_fails(self) -> None:
        """The README of a public validator prints one that does not check."""
        assert "check-character" == failure("resident", "911124198108030028")


class TestSlips:
    @pytest.mark.parametrize(("kind", "text"), CHECKED)
    def test_every_single_character_error_is_caught(self, kind: str, text: str) -> None:
        """ISO 7064 and the two GB check characters catch any one wrong character."""
        alphabets = {
            "resident": DIGITS + "X",
            "uscc": USCC_ALPHABET,
            "org_code": DIGITS_AND_LETTERS,
        }
        slips = [
            text[:place] + other + text[place + 1 :]
            for place, right in enumerate(text)
            for other in alphabets[kind]
            if other != right
        ]

        missed = [slip for slip in slips if not refuses(kind, slip)]

        # GB 11714 is MOD 11 over values up to 35: a slip of 11, 22 or 33 escapes, by the standard.
        assert [] == [slip for slip in missed if not (kind == "org_code" and _by_11(text, slip))]

    @pytest.mark.parametrize("text", LICENSES)
    def test_every_single_character_error_in_a_license_is_caught(self, text: str) -> None:
        """ISO 7064 MOD 37,36 catches any one wrong character of the four parts or the check."""
        slips = [
            text[:place] + other + text[place + 1 :]
            for place, right in enumerate(text)
            if place >= len("1.2.156.3005.2.") and right != "."
            for other in DIGITS_AND_LETTERS
            if other != right
        ]

        assert [] == [slip for slip in slips if not refuses("license_id", slip)]

    @pytest.mark.parametrize("kind", ["resident", "license_id"])
    def test_swapped_neighbours_are_caught(self, kind: str) -> None:
        """Both ISO 7064 systems catch an adjacent transposition."""
        swaps = [
            text[:place] + text[place + 1] + text[place] + text[place + 2 :]
            for text in EXAMPLES[kind]
            for place in range(len(text) - 1)
            if text[place] != text[place + 1]
        ]

        assert [] == [swap for swap in swaps if not refuses(kind, swap)]


def _by_11(text: str, slip: str) -> bool:
    """Say whether the two differ by a multiple of 11 in value, in one of the first eight places."""
    values = [
        (DIGITS_AND_LETTERS.index(a), DIGITS_AND_LETTERS.index(b))
        for a, b in zip(text[:8], slip[:8], strict=True)
        if a != b
    ]
    return bool(values) and all((a - b) % 11 == 0 for a, b in values)


class TestMadeByTheBook:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    @given(data=st.data())
    def test_passes(self, kind: str, data: st.DataObject) -> None:
        """A number computed by another hand from the standard's formula is valid."""
        text = data.draw(VALID[kind])

        assert text == KINDS[kind](text).value

    @pytest.mark.parametrize("kind", sorted(KINDS))
    @given(data=st.data())
    def test_normalising_twice_changes_nothing(self, kind: str, data: st.DataObject) -> None:
        """What comes out goes in again unchanged."""
        once = KINDS[kind](wide(data.draw(VALID[kind])).lower())

        assert () == KINDS[kind](once.value).changes

    @pytest.mark.parametrize("kind", sorted(KINDS))
    @given(text=st.text(max_size=40))
    def test_anything_else_is_refused_as_invalid(self, kind: str, text: str) -> None:
        """Whatever is typed, the answer is a value or `InvalidIdentifier`, never another error."""
        assert refuses(kind, text) or KINDS[kind](text).value


class TestResident:
    def test_fifteen_digits_become_eighteen(self) -> None:
        """The old number stays known as an alias of the new one."""
        found = resident("110105491231002")

        assert "11010519491231002X" == found.value
        assert "110105491231002" == found.alias
        assert ("15-digit",) == found.changes

    def test_fifteen_digits_of_a_centenarian(self) -> None:
        """Sequences 996 to 999 of the old number were kept for those born in the 1800s."""
        assert "18801231" == resident("110105801231996").value[6:14]

    def test_what_is_mended_is_named(self) -> None:
        """Full-width digits, blanks and a lower-case x are mended and said to have been."""
        found = resident(wide("110105 19491231 002x"))

        assert "11010519491231002X" == found.value
        assert ("full-width", "blanks", "lower-case") == found.changes

    def test_times_sign_read_for_x(self) -> None:
        """Scanners read the X as a multiplication sign."""
        assert ("times-sign",) == resident("11010519491231002×").changes

    @pytest.mark.parametrize(
        "text",
        ["110105194902300021", "110105190002290025", "110105000001010026", "110105210001010023"],
    )
    def test_day_that_never_was(self, text: str) -> None:
        """A date of birth is a day of the calendar, between 1800 and 2099."""
        assert "birth-date" == failure("resident", text)

    @pytest.mark.parametrize(
        "text", ["", "1101051949123100", "A1010519491231002X", "١١٠١٠٥491231002"]
    )
    def test_shape(self, text: str) -> None:
        """Wrong length, letters and digits of other scripts are refused."""
        assert "shape" == failure("resident", text)

    def test_card_of_2017_is_not_a_resident_number(self) -> None:
        """Three letters and twelve digits are a foreigner's older card, which is another number."""
        assert "shape" == failure("resident", "USA110019800101")

    def test_message_does_not_repeat_the_number(self) -> None:
        """An error may be logged; a number may not."""
        with pytest.raises(InvalidIdentifier) as refused:
            resident("110105194912310021")

        assert "1101" not in f"{refused.value}{refused.value.zh}"


class TestCreditCode:
    @pytest.mark.parametrize("letter", "IOSVZ")
    def test_letters_that_the_alphabet_leaves_out(self, letter: str) -> None:
        """I, O, S, V and Z look like digits, so GB 32100 has none of them."""
        assert "shape" == failure("uscc", "9135010" + letter + "M000100Y43")

    def test_organisation_code_inside_is_checked_on_its_own(self) -> None:
        """A code whose last character fits may still carry a wrong organisation code."""
        assert "organisation-check" == failure("uscc", "91350100M000100Z43".replace("Z", "X"))

    def test_unknown_registration_department(self) -> None:
        """The first character is one of the departments of GB 32100, table 1."""
        assert "shape" == failure("uscc", "B1350100M000100Y43")


class TestOthers:
    def test_organisation_code_as_printed(self) -> None:
        """The printed hyphen goes."""
        assert "D2143569X" == org_code("D2143569-X").value
        assert ("hyphen",) == org_code("00001333-8").changes

    def test_unit_as_shown(self) -> None:
        """The register shows a unit in four groups."""
        assert (
            "370105012002GB00001F00010751"
            == real_estate_unit("370105 012002 GB00001 F00010751").value
        )

    def test_parcel_without_fixture_is_all_zeros(self) -> None:
        """W stands for none, so nothing can be numbered after it."""
        assert "shape" == failure("real_estate_unit", "320505400202GB00001W00000001")

    @pytest.mark.parametrize("opening", ["(", "（", "〔", "【", "["])
    def test_certificate_brackets(self, opening: str) -> None:
        """Every kind of bracket that registers print means the same."""
        closing = {"(": ")", "（": "）", "〔": "〕", "【": "】", "[": "]"}[opening]

        found = certificate_no(f"浙{opening}2024{closing}永康市不动产权第0001234号")

        assert "浙(2024)永康市不动产权第0001234号" == found.value

    @pytest.mark.parametrize(
        "text",
        [
            "浙(2024)永康市不动产权第0001234号、浙(2024)永康市不动产权第0001235号",
            "永房权证东城字第00012345号",
            "永国用(2008)第1234号",
            "浙(2024)永康市不动产权第123号",
        ],
    )
    def test_certificate_numbers_that_are_not_one(self, text: str) -> None:
        """Several at once, and the older house and land certificates, are refused."""
        assert "shape" == failure("certificate_no", text)

    def test_license_parts_that_fail_are_named(self) -> None:
        """The credit codes inside a license identifier are checked too."""
        issuer = "11370800MB28559185"
        check = license_id_check("11100000000013338W087", issuer, "1", "001")

        text = f"1.2.156.3005.2.11100000000013338W087.{issuer}.1.001.{check}"

        assert "issuer-check" == failure("license_id", text)

    def test_license_version_begins_at_one(self) -> None:
        """Versions run from 001."""
        check = license_id_check("11100000000013338W087", "340100", "1", "000")

        text = f"1.2.156.3005.2.11100000000013338W087.340100.1.000.{check}"

        assert "shape" == failure("license_id", text)

    def test_iso_control_value(self) -> None:
        """The control value of ISO 7064 MOD 37,36 for this algorithm."""
        assert "M" == license_id_check("A12425", "GABC", "1234", "002")

    def test_credit_code_of_the_collective(self) -> None:
        """N-class bodies, village collectives, have letters in front."""
        assert "N2330784MF1234567J" == uscc("n2330784mf1234567j").value

    def test_license_of_another_arc(self) -> None:
        """An identifier under another root is not one of GB/T 36904."""
        with pytest.raises(InvalidIdentifier):
            license_id(LICENSES[0].replace("1.2.156.3005.2", "1.2.156.3005.3"))
