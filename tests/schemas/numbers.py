"""Numbers that the tests share: public examples, and strategies that make valid ones by the book.

The strategies compute check characters from the formulas of the standards, written out here once
more and differently, so that a mistake in the product is not repeated by its test.
"""

from __future__ import annotations

from datetime import date

from hypothesis import strategies as st

RESIDENTS = (
    "11010519491231002X",  # GB 11643-1999, annex
    "440524188001010014",  # GB 11643-1999, annex: a county abolished since, a man of 1880
    "810000199408230021",
    "830000199201300022",
    "820000199001010010",
    "911124198108030024",
    "932682198501010017",
    "110228197001010011",
    "34052419800101001X",
    "650601199001010018",
)
CREDIT_CODES = (
    "91350100M000100Y43",
    "91110000600037341L",
    "11100000000013338W",
    "11370800MB28559184",
    "N2330784MF1234567J",
)
ORGANISATIONS = ("D2143569X", "000013338")
UNITS = (
    "370105012002GB00001F00010751",
    "440106001001GB00001F00010001",
    "320505400202GB00001F00010069",
    "320505400202GB00001W00000000",
)
CERTIFICATES = (
    "粤(2024)广州市不动产权第0001234号",
    "沪(2022)宝字不动产权第011468号",
    "浙(2025)永康市不动产证明第0000001号",
)
LICENSES = (
    "1.2.156.3005.2.11100000000013338W032.11220000013544541J.2430599.001.F",
    "1.2.156.3005.2.11100000000013338W087.11370800MB28559184.37080001202411010001.001.3",
    "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.002.S",
    "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
)
FAILING_LICENSE = (
    "1.2.156.3005.2.11100000000013661B006.113700000045046442.209FA4E88F9E4C878F3E9BED2CE7EA49.001.M"
)
EXAMPLES = {
    "resident": RESIDENTS,
    "uscc": CREDIT_CODES,
    "org_code": ORGANISATIONS,
    "real_estate_unit": UNITS,
    "certificate_no": CERTIFICATES,
    "license_id": LICENSES,
}

A36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
A31 = "".join(character for character in A36 if character not in "IOSVZ")


def resident_check(body: str) -> str:
    """ISO 7064 MOD 11-2, as the pure recursion the standard describes."""
    product = 0
    for digit in body:
        product = (product + int(digit)) * 2 % 11
    check = (12 - product) % 11
    return "X" if check == 10 else str(check)


def org_check(body: str) -> str:
    total = sum(w * A36.index(c) for w, c in zip((3, 7, 9, 10, 5, 8, 4, 2), body, strict=True))
    check = 11 - total % 11
    return {10: "X", 11: "0"}.get(check, str(check))


def credit_check(body: str) -> str:
    total = sum(pow(3, place, 31) * A31.index(c) for place, c in enumerate(body))
    return next(c for value, c in enumerate(A31) if (total + value) % 31 == 0)


def license_check(body: str) -> str:
    """ISO 7064 MOD 37,36: the character that leaves a remainder of one."""
    for character in A36:
        product = 36
        for each in body:
            rest = (product + A36.index(each)) % 36
            product = (rest or 36) * 2 % 37
        if (product + A36.index(character)) % 36 == 1:
            return character
    raise AssertionError("one of the thirty-six always fits")


@st.composite
def residents(draw: st.DrawFn) -> str:
    division = draw(st.integers(110000, 999999))
    born = draw(st.dates(date(1800, 1, 1), date(2099, 12, 31)))
    body = f"{division}{born:%Y%m%d}{draw(st.integers(0, 999)):03}"
    return body + resident_check(body)


@st.composite
def organisations(draw: st.DrawFn, alphabet: str = A36) -> str:
    body = draw(st.text(alphabet, min_size=8, max_size=8))
    return body + org_check(body)


@st.composite
def credit_codes(draw: st.DrawFn) -> str:
    head = draw(st.sampled_from("123456789ANY")) + draw(st.sampled_from(A31))
    division = draw(st.integers(0, 999999))
    body = f"{head}{division:06}{draw(organisations(A31))}"
    return body + credit_check(body)


@st.composite
def licenses(draw: st.DrawFn) -> str:
    type_code = draw(credit_codes()) + f"{draw(st.integers(0, 999)):03}"
    issuer = draw(credit_codes() | st.integers(100000, 999999).map(str))
    serial = draw(st.text(A36, min_size=1, max_size=40))
    version = f"{draw(st.integers(1, 999)):03}"
    check = license_check(type_code + issuer + serial + version)
    return f"1.2.156.3005.2.{type_code}.{issuer}.{serial}.{version}.{check}"


VALID = {
    "resident": residents(),
    "uscc": credit_codes(),
    "org_code": organisations(),
    "real_estate_unit": st.from_regex(
        r"\A[0-9]{12}[GJZ][A-HSWXY][0-9]{5}([FLQ][0-9]{8}|W0{8})\Z", alphabet=A36
    ),
    "certificate_no": st.sampled_from(CERTIFICATES),
    "license_id": licenses(),
}
