"""National identifiers, one at a time: normalise what people type, then check it hard.

A check is hard where the standard makes it so (characters, calendar date, check character); the
division inside a number is not looked at here, because codes are abolished and numbers are not.
Nothing is looked up and no message repeats the number. Whole columns: `identifier_columns`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from types import MappingProxyType

from schemas.errors import Invalid

DIGITS_AND_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# GB 11643-1999 4: weights 2^(17-i) mod 11, check character by ISO 7064 MOD 11-2.
RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
RESIDENT_CHECKS = "10X98765432"

CENTENARIANS = "996"  # from this sequence on, a number of 15 digits was born in the 1800s
BIRTH_YEARS = range(1800, 2100)

# GB 32100-2015 4.2 and annex A: no I, O, S, V, Z; weights 3^(i-1) mod 31.
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)

# GB 11714-1997 4: letters count 10 to 35, C9 = 11 - sum mod 11, 10 is X and 11 is 0.
ORG_CODE_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
ORG_CODE_CHECKS = "0123456789X0"

# GB/T 36904-2018: the arc of electronic-license identifiers.
LICENSE_ROOT = "1.2.156.3005.2"

FIFTEEN_DIGITS = r"^[0-9]{15}$"
RESIDENT = r"^[0-9]{17}[0-9X]$"
# GB 32100-2015 table 1: registration departments; A (military) and N (agriculture) came later.
USCC = rf"^[1-9ANY][{USCC_ALPHABET}][0-9]{{6}}[{USCC_ALPHABET}]{{8}}[0-9X][{USCC_ALPHABET}]$"
ORG_CODE = r"^[0-9A-Z]{8}[0-9X]$"
# GB/T 37346-2019: county 6, cadastral district 3 and sub-district 3, parcel kind 2 and number 5,
# fixture kind 1 and number 8; a parcel without fixture is W00000000.
REAL_ESTATE_UNIT = r"^[0-9]{12}[GJZ][A-HSWXY][0-9]{5}(?:[FLQ][0-9]{8}|W0{8})$"
PROVINCES = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川蜀贵黔云滇藏陕秦甘陇青宁新"
CERTIFICATE_NO = (
    rf"^[{PROVINCES}]\([12][0-9]{{3}}\)[一-鿿]{{1,24}}?"
    r"不动产(?:权|证明)第[0-9]{6,8}号$"
)
LICENSE_TYPE = r"[0-9A-Z]{18}[0-9]{3}"
LICENSE_ISSUER = r"(?:[0-9A-Z]{18}|[0-9]{6})"
LICENSE_ID = (
    rf"^1\.2\.156\.3005\.2\.{LICENSE_TYPE}\.{LICENSE_ISSUER}"
    r"\.[0-9A-Z]{1,40}\.(?:[0-9]{2}[1-9]|[0-9][1-9]0|[1-9]00)\.[0-9A-Z]$"
)

SHAPES: Mapping[str, str] = MappingProxyType(
    {
        "resident": RESIDENT,
        "uscc": USCC,
        "org_code": ORG_CODE,
        "real_estate_unit": REAL_ESTATE_UNIT,
        "certificate_no": CERTIFICATE_NO,
        "license_id": LICENSE_ID,
    }
)

FULL_WIDTH: Mapping[str, str] = MappingProxyType({chr(c + 0xFEE0): chr(c) for c in range(33, 127)})
BLANKS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys((" ", "\t", "\r", "\n", "\u00a0", "\u3000", "\u200b", "\ufeff"), "")
)
LOWER_CASE: Mapping[str, str] = MappingProxyType(
    {letter: letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
)
BRACKETS: Mapping[str, str] = MappingProxyType(
    {"〔": "(", "〕": ")", "【": "(", "】": ")", "[": "(", "]": ")"}
)

# What is mended in every identifier, in this order, and what in one kind alone.
MENDS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("full-width", FULL_WIDTH),
    ("blanks", BLANKS),
    ("lower-case", LOWER_CASE),
)
MENDS_OF_KIND: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "resident": ("times-sign", {"×": "X"}),
        "org_code": ("hyphen", {"-": ""}),
        "certificate_no": ("brackets", BRACKETS),
    }
)


@dataclass(frozen=True)
class Normalised:
    """One that passed; `alias` is the older number it replaces, `changes` names what was mended."""

    value: str
    alias: str | None = None
    changes: tuple[str, ...] = ()


class InvalidIdentifier(Invalid):
    """An identifier failed; `check` names the check, stable: shape, birth-date, check-character…"""

    code = "invalid-identifier"

    def __init__(self, kind: str, check: str, message: str, *, zh: str) -> None:
        super().__init__(message, zh=zh)
        self.kind = kind
        self.check = check


def resident(text: str) -> Normalised:
    """Check a resident number (GB 11643); residence permits 81/82/83 and foreigners' 9 included.

    A 15-digit number comes back as 18 digits with the original as its alias. Raises
    `InvalidIdentifier`.
    """
    value, changes = mended("resident", text)
    alias = None
    if re.fullmatch(FIFTEEN_DIGITS, value):
        alias, value = value, _eighteen_digits(value)
        changes = (*changes, "15-digit")
    _shaped("resident", value)
    _real_date("resident", value[6:14])
    _checked("resident", "check-character", value[17], resident_check(value[:17]))
    return Normalised(value, alias, changes)


def uscc(text: str) -> Normalised:
    """Check a unified social credit code (GB 32100), and the organisation code inside it."""
    value, changes = mended("uscc", text)
    _shaped("uscc", value)
    _checked("uscc", "organisation-check", value[16], org_code_check(value[8:16]))
    _checked("uscc", "check-character", value[17], uscc_check(value[:17]))
    return Normalised(value, changes=changes)


def org_code(text: str) -> Normalised:
    """Check an organisation code (GB 11714); the printed hyphen is dropped."""
    value, changes = mended("org_code", text)
    _shaped("org_code", value)
    _checked("org_code", "check-character", value[8], org_code_check(value[:8]))
    return Normalised(value, changes=changes)


def real_estate_unit(text: str) -> Normalised:
    """Check the shape of a real-estate unit code (GB/T 37346), which has no check character."""
    value, changes = mended("real_estate_unit", text)
    _shaped("real_estate_unit", value)
    return Normalised(value, changes=changes)


def certificate_no(text: str) -> Normalised:
    """Check one real-estate certificate number; older house and land certificates are refused."""
    value, changes = mended("certificate_no", text)
    _shaped("certificate_no", value)
    return Normalised(value, changes=changes)


def license_id(text: str) -> Normalised:
    """Check an electronic-license identifier (GB/T 36904) and the credit codes inside it.

    The issuer may be a division of six digits, as some public ones have. Whether a foreign
    identifier that fails is refused or only doubted is the caller's to decide.
    """
    value, changes = mended("license_id", text)
    _shaped("license_id", value)
    type_code, issuer, serial, version, check = value.split(".")[5:]
    _credit_code(type_code[:18], "type-check")
    if len(issuer) == 18:
        _credit_code(issuer, "issuer-check")
    expected = license_id_check(type_code, issuer, serial, version)
    _checked("license_id", "check-character", check, expected)
    return Normalised(value, changes=changes)


KINDS: Mapping[str, Callable[[str], Normalised]] = MappingProxyType(
    {
        "resident": resident,
        "uscc": uscc,
        "org_code": org_code,
        "real_estate_unit": real_estate_unit,
        "certificate_no": certificate_no,
        "license_id": license_id,
    }
)


def mended(kind: str, text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text in the standard's own characters, and the names of what was mended.

    Every mend is character by character, so a column can do all of them in one pass.
    """
    value, changes = text, list[str]()
    for name, table in _translations(kind):
        better = value.translate(table)
        if better != value:
            changes.append(name)
        value = better
    return value, tuple(changes)


@cache
def _translations(kind: str) -> tuple[tuple[str, dict[int, str]], ...]:
    """Each mend of a kind as `str.translate` wants it; a number is mended at every call."""
    mends = (*MENDS, MENDS_OF_KIND.get(kind, ("", {})))
    return tuple((name, str.maketrans(dict(table))) for name, table in mends)


def resident_check(first_17: str) -> str:
    """Return the check character of GB 11643 (ISO 7064 MOD 11-2)."""
    total = sum(int(c) * w for c, w in zip(first_17, RESIDENT_WEIGHTS, strict=True))
    return RESIDENT_CHECKS[total % 11]


def uscc_check(first_17: str) -> str:
    """Return the check character of GB 32100 (MOD 31)."""
    total = sum(USCC_ALPHABET.index(c) * w for c, w in zip(first_17, USCC_WEIGHTS, strict=True))
    return USCC_ALPHABET[(31 - total % 31) % 31]


def org_code_check(first_8: str) -> str:
    """Return the check character of GB 11714 (MOD 11)."""
    total = sum(
        DIGITS_AND_LETTERS.index(c) * w for c, w in zip(first_8, ORG_CODE_WEIGHTS, strict=True)
    )
    return ORG_CODE_CHECKS[11 - total % 11]


def license_id_check(type_code: str, issuer: str, serial: str, version: str) -> str:
    """Return the check character of GB/T 36904: ISO/IEC 7064 MOD 37,36 over the four parts."""
    product = 36
    for character in type_code + issuer + serial + version:
        product = ((product + DIGITS_AND_LETTERS.index(character)) % 36 or 36) * 2 % 37
    return DIGITS_AND_LETTERS[(37 - product) % 36]


def _eighteen_digits(fifteen: str) -> str:
    """Insert the century after the division and append the check character."""
    century = "18" if fifteen[12:] >= CENTENARIANS else "19"
    body = fifteen[:6] + century + fifteen[6:]
    return body + resident_check(body)


def _shaped(kind: str, value: str) -> None:
    if not re.fullmatch(SHAPES[kind], value):
        raise _failure(kind, "shape")


def _real_date(kind: str, digits: str) -> None:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise _failure(kind, "birth-date") from None
    if born.year not in BIRTH_YEARS:
        raise _failure(kind, "birth-date")


def _checked(kind: str, check: str, given: str, expected: str) -> None:
    if given != expected:
        raise _failure(kind, check)


def _credit_code(value: str, check: str) -> None:
    try:
        uscc(value)
    except InvalidIdentifier:
        raise _failure("license_id", check) from None


NAMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "resident": ("resident number", "公民身份号码"),
        "uscc": ("unified social credit code", "统一社会信用代码"),
        "org_code": ("organisation code", "组织机构代码"),
        "real_estate_unit": ("real-estate unit code", "不动产单元代码"),
        "certificate_no": ("real-estate certificate number", "不动产权证书号"),
        "license_id": ("license identifier", "电子证照标识"),
    }
)

CHECKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "shape": ("wrong length or characters", "位数或字符不符合标准"),
        "birth-date": ("its date of birth does not exist", "出生日期不存在"),
        "check-character": ("its check character is wrong", "校验码不正确"),
        "organisation-check": (
            "the organisation code inside it has a wrong check character",
            "其中的组织机构代码校验码不正确",
        ),
        "type-check": ("the credit code in its type is wrong", "证照类型代码中的信用代码不正确"),
        "issuer-check": ("the credit code of its issuer is wrong", "颁发机构信用代码不正确"),
    }
)


def _failure(kind: str, check: str) -> InvalidIdentifier:
    name, name_zh = NAMES[kind]
    why, why_zh = CHECKS[check]
    return InvalidIdentifier(kind, check, f"{name}: {why}", zh=f"{name_zh}:{why_zh}")
