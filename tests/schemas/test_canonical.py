"""Canonical JSON, digests and base64url: one value, one sequence of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import b64url, canonical, sha256, sm3, unb64url
from schemas.errors import Invalid


class TestCanonical:
    def test_example_of_the_standard(self) -> None:
        """RFC 8785 3.2.4: sorted by UTF-16, shortest numbers, minimal escapes."""
        value = {
            "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
            "literals": [None, True, False],
        }

        assert (
            '{"literals":[null,true,false],'
            '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode() == canonical(value)

    def test_keys_sort_by_utf_16(self) -> None:
        """RFC 8785 3.2.3: a surrogate pair sorts before U+FB33."""
        assert '{"😀":1,"\ufb33":2}'.encode() == canonical({"\ufb33": 2, "😀": 1})

    @pytest.mark.parametrize(
        "value", [2**53, float("nan"), float("inf"), "\ud800", {1: "a"}, b"bytes", {"a": object()}]
    )
    def test_what_json_cannot_carry_is_refused(self, value: object) -> None:
        """A number that would be rounded is refused, not rounded."""
        with pytest.raises(Invalid):
            canonical(value)

    def test_too_deep(self) -> None:
        """A bottomless value is refused like any other."""
        value: list[object] = []
        for _ in range(100_000):
            value = [value]

        with pytest.raises(Invalid):
            canonical(value)


class TestDigests:
    def test_sha256(self) -> None:
        """FIPS 180-4, the example "abc"."""
        assert "ba7816bf8f01cfea414140de5dae2223" == sha256(b"abc").hex()[:32]

    def test_sm3(self) -> None:
        """GB/T 32905-2016, annex A.1."""
        assert (
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" == sm3(b"abc").hex()
        )


class TestBase64Url:
    @given(st.binary())
    def test_there_and_back(self, data: bytes) -> None:
        """Bytes survive."""
        assert data == unb64url(b64url(data))

    @pytest.mark.parametrize("text", ["AA==", "AB", "A", "A+", "A/8", "A A", "AA\n", "ＡＡ", "é"])
    def test_other_spellings_are_refused(self, text: str) -> None:
        """RFC 4648 3.5: padding, stray bits and foreign characters are not tolerated."""
        with pytest.raises(Invalid):
            unb64url(text)
