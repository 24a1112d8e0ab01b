"""The face of a license: its record rendered as one page of Chinese, as PDF/A-3b.

The only font is the one that comes with the project: a character it lacks refuses the issue, a face
with holes is never made. The page carries a QR whose short signature lets a photo of a printout be
recognised; the canonical record travels inside as an attachment.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import threading
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import segno
import typst

from license_vault import types
from license_vault.record import Record
from schemas.canonical import b64url
from schemas.codes import code_list
from schemas.errors import Invalid
from schemas.license import FaceField

FONTS = Path(__file__).parent / "fonts"
STANDARD: Literal["a-3b"] = "a-3b"  # ISO 19005-3, which lets the record be attached
DIGEST_DIGITS = 16
SIGNATURE_BYTES = 12
# ISO/IEC 18004 7.8: readers take any mask; trying all eight for the best costs 8 ms a face.
QR_MASK = 3
# A compiler serves one thread at a time, and holds the interpreter while it does.
_ONE_AT_A_TIME = threading.Lock()


class FaceNotMade(Invalid):
    """The face cannot be rendered, most often because the font lacks a character of a name."""

    code = "face-not-made"


def short_signature(key: bytes, license_id: str, digits: str) -> str:
    """What the QR carries as `s`: a truncated HMAC over identifier and digest digits."""
    told = f"yizhan-qr/1\n{license_id}\n{digits}".encode()
    return b64url(hmac.digest(key, told, hashlib.sha256)[:SIGNATURE_BYTES])


def check_short_signature(key: bytes, license_id: str, digits: str, signature: str) -> bool:
    """Whether the QR was made here; it says nothing about the license being valid now."""
    return hmac.compare_digest(
        short_signature(key, license_id, digits).encode(), signature.encode()
    )


def qr_address(public_url: str, key: bytes, record: Record) -> str:
    """The address that the QR holds."""
    license_id, digits = record.value["identifier"], record.digest.hex()[:DIGEST_DIGITS]
    query = urlencode({"d": digits, "s": short_signature(key, license_id, digits)})
    return f"{public_url}/q/{license_id}?{query}"


def render(record: Record, *, address: str, at: datetime) -> bytes:
    """The page as PDF/A-3b, not yet sealed. Raises `FaceNotMade`."""
    held = types.license_type(record.value["type"]["code"])
    inputs = {"face": json.dumps(_shown(record, address), ensure_ascii=False)}
    try:
        with _ONE_AT_A_TIME:
            made = _compiler(held.template).compile(
                sys_inputs=inputs,
                format="pdf",
                pdf_standards=STANDARD,
                timestamp=int(at.timestamp()),
                pdf_tags=False,
            )
    except typst.TypstError as err:
        # The diagnosis may quote the character, and with it a name: it is not passed on.
        raise FaceNotMade(
            "the face cannot be rendered: a character has no glyph in the license font, or the "
            "template is wrong",
            zh="证照照面无法生成：有字符在证照字体中没有字形",
        ) from (err if not _lacks_glyph(err) else None)
    assert isinstance(made, bytes)
    return made


@cache
def _compiler(template: str) -> typst.Compiler:
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FONTS)]
    )
    return typst.Compiler(
        input=str(types.TEMPLATES / template), root=str(types.TEMPLATES), font_paths=fonts
    )


def _lacks_glyph(err: typst.TypstError) -> bool:
    return "could not be displayed" in str(err)


def _shown(record: Record, address: str) -> dict[str, Any]:
    """What the template prints, every value already in its printed form."""
    value = record.value
    held = types.license_type(value["type"]["code"])
    issued_on = date.fromisoformat(value["issued_on"])
    fields = [
        {"name": field.name, "label": field.label_zh, "value": printed(field, value["face"])}
        for field in held.fields
        if value["face"].get(field.name)
    ]
    return {
        "title": held.name,
        "identifier": value["identifier"],
        "number": value["number"],
        "number_label": held.number_label_zh,
        "version": value["version"],
        "issuer": value["issuer"]["name"],
        "issued_on": _day(issued_on),
        "year": issued_on.year,
        "month": issued_on.month,
        "day": issued_on.day,
        "fields": fields,
        "digest": record.digest.hex(),
        "record": record.encoded.decode(),
        "qr": _qr(address),
        "qr_alt": f"核验地址 {address}",
    }


def printed(field: FaceField, face: Mapping[str, str]) -> str:
    """A value of the record as the face shows it."""
    value = face[field.name]
    match field.kind:
        case "date":
            return _day(date.fromisoformat(value))
        case "money":
            currency, _, amount = value.rpartition(" ")
            return f"{code_list('currency').label(currency or 'CNY')} {Decimal(amount):,.2f} 元"
        case "area":
            return f"{Decimal(value):,.2f} 平方米"
        case "unit":
            # GB/T 37346: shown in groups of 6, 6, 7 and 9.
            return " ".join((value[:6], value[6:12], value[12:19], value[19:]))
        case "term":
            start, _, end = value.partition("/")
            until = _day(date.fromisoformat(end)) if end else "长期"
            return f"{_day(date.fromisoformat(start))} 至 {until}"
    return value


def _day(day: date) -> str:
    return f"{day.year}年{day.month:02}月{day.day:02}日"


def _qr(address: str) -> str:
    drawn = io.BytesIO()
    segno.make_qr(address, error="m", mask=QR_MASK).save(
        drawn, kind="svg", border=2, xmldecl=False, svgns=True
    )
    return drawn.getvalue().decode()
