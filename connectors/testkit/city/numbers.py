"""Numbers of the city, with check characters worked out here and nowhere else.

The product's own checks are on trial, so nothing of them is used: the sums run the other way
(Horner's scheme), and a test pins both to the public examples of the standards.
"""

from __future__ import annotations

_RESIDENT = "0123456789X"
_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_ORGANISATION = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def resident(division: str, born: str, sequence: int) -> str:
    """A resident number: division, birth as YYYYMMDD, an odd sequence for men (GB 11643)."""
    body = f"{division}{born}{sequence:03d}"
    return body + resident_check(body)


def resident_check(body: str) -> str:
    """ISO 7064 MOD 11-2 of 17 digits: the character that brings the whole to 1 modulo 11."""
    rest = 0
    for digit in body:
        rest = (rest + ord(digit) - 48) * 2 % 11
    return _RESIDENT[(1 - rest) % 11]


def short_resident(number: str) -> str:
    """The 15 digits that somebody born in the 1900s had before: no century, no check."""
    assert number[6:8] == "19"
    return number[:6] + number[8:17]


def credit_code(kind: str, division: str, serial: int) -> str:
    """A unified social credit code: department and category, division, organisation (GB 32100)."""
    organisation = f"MA{_base(serial, 6)}"
    body = kind + division + organisation + organisation_check(organisation)
    return body + credit_check(body)


def credit_check(body: str) -> str:
    """MOD 31 of 17 characters, each weighing three times the one before."""
    total = 0
    for character in reversed(body):
        total = total * 3 + _CREDIT.index(character)
    return _CREDIT[-total % 31]


def organisation_check(body: str) -> str:
    """MOD 11 of an organisation code's eight characters (GB 11714)."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(_ORGANISATION.index(c) * w for c, w in zip(body, weights, strict=True))
    return "0X987654321"[total % 11]


def unit(division: str, block: int, parcel: int, building: int, flat: int) -> str:
    """A real-estate unit: district and sub-district, state-owned parcel, house (GB/T 37346)."""
    district = f"{1 + block // 100:03d}{1 + block % 100:03d}"
    return f"{division}{district}GB{parcel:05d}F{building:04d}{flat:04d}"


def certificate(year: int, serial: int, *, of: str = "权") -> str:
    """A real-estate certificate (权) or certificate of registration (证明)."""
    return f"浙({year})永康市不动产{of}第{serial:07d}号"


def spoiled(number: str) -> str:
    """The same number with another last character, so that its check fails."""
    return number[:-1] + ("1" if number[-1] != "1" else "2")


def garbled(number: str) -> str:
    """A real-estate number in which somebody typed the letter O; it has no check character."""
    return number[:14] + "O" + number[15:]


def full_width(text: str) -> str:
    """Its digits and letters as wide as a Chinese character."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _base(serial: int, width: int) -> str:
    """A serial in the credit code's alphabet, digits first so that order is kept."""
    digits = ""
    for _ in range(width):
        serial, rest = divmod(serial, len(_CREDIT))
        digits = _CREDIT[rest] + digits
    return digits
