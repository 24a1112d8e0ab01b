"""The face: what is printed, what is attached, and what is never drawn."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from license_vault import face, record, types
from license_vault.record import Record, Request
from schemas.errors import Invalid
from schemas.license import FaceField, LicenseNumber
from tests.license_vault.office import business_license, certificate, poppler

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
KEY = bytes(range(32))
HUB = "http://127.0.0.1:8000"


def made(request: Request) -> Record:
    """The record of a request, under a number."""
    number = LicenseNumber(request.type_code, request.issuer, "20260000000001")
    return record.compose(
        request, number, status_uri=f"{HUB}/status/1", status_index=7, issued_on=date(2026, 11, 22)
    )


def drawn(request: Request) -> bytes:
    """Its page."""
    held = made(request)
    return face.render(held, address=face.qr_address(HUB, KEY, held), at=AT)


class TestRender:
    @pytest.mark.parametrize(
        "request_", [business_license(), certificate()], ids=["营业执照", "不动产"]
    )
    def test_one_page_of_pdf_a_3b(self, request_: Request, tmp_path: Path) -> None:
        """ISO 19005-3 conformance is declared in the metadata, and there is one page."""
        page = drawn(request_)

        assert b"<pdfaid:part>3</pdfaid:part>" in page
        assert b"<pdfaid:conformance>B</pdfaid:conformance>" in page
        told = poppler(page, tmp_path, "pdfinfo")
        assert told is None or "Pages:           1" in told

    def test_what_is_printed_is_what_the_record_says(self, tmp_path: Path) -> None:
        """Every field in its printed form, the rare character 𠮷 among them."""
        if (text := self._text(drawn(business_license()), tmp_path)) is None:
            pytest.skip("pdftotext is not installed (apt-get install poppler-utils)")

        for shown in ("永康市𠮷祥餐饮有限公司", "人民币 1,000,000.00 元", "2020年01月05日 至 长期"):
            assert shown.replace(" ", "") in text

    def test_all_fonts_are_embedded_and_there_is_one(self, tmp_path: Path) -> None:
        """The project's own font, and nothing of the machine it was rendered on."""
        told = poppler(drawn(certificate()), tmp_path, "pdffonts")
        if told is None:
            pytest.skip("pdffonts is not installed (apt-get install poppler-utils)")

        fonts = told.splitlines()[2:]
        assert fonts
        assert all("NotoSerifCJKsc" in line and " yes yes " in line for line in fonts)

    def test_the_attachment_is_the_canonical_record_byte_for_byte(self) -> None:
        """One file, record.json, whose digest the face's metadata names."""
        request = certificate()
        reader = PdfFileReader(io.BytesIO(drawn(request)))

        names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
        attached = names[1].get_object()["/EF"]["/F"].data

        assert made(request).encoded == attached
        assert (
            f"sha256={hashlib.sha256(attached).hexdigest()}" in reader.trailer["/Info"]["/Keywords"]
        )

    def test_the_same_record_is_the_same_page(self) -> None:
        """Rendering has no clock and no dice of its own."""
        assert drawn(certificate()) == drawn(certificate())

    def test_a_missing_glyph_refuses_and_does_not_repeat_the_name(self) -> None:
        """A face with holes is never made, and the error holds nothing personal."""
        with pytest.raises(face.FaceNotMade) as refused:
            drawn(business_license(name="\U00031350记饭店"))

        assert "记" not in str(refused.value)
        assert refused.value.__cause__ is None

    @staticmethod
    def _text(page: bytes, folder: Path) -> str | None:
        if poppler(page, folder, "pdftotext", "-raw", "-nopgbrk") is None:
            return None
        return "".join((folder / "page.txt").read_text("utf-8").split())


class TestQr:
    def test_the_address_holds_identifier_digest_and_short_signature(self) -> None:
        """And the signature is ours, over both."""
        held = made(certificate())
        address = urlsplit(face.qr_address(HUB, KEY, held))
        license_id = address.path.removeprefix("/q/")
        digits, signed = (parse_qs(address.query)[name][0] for name in ("d", "s"))

        assert held.value["identifier"] == license_id
        assert held.digest.hex()[:16] == digits
        assert face.check_short_signature(KEY, license_id, digits, signed)

    @pytest.mark.parametrize("change", ["id", "digits", "signature", "key"])
    def test_anything_changed_is_not_ours(self, change: str) -> None:
        """One character of any part, or another office's key."""
        parts: dict[str, Any] = {"id": "1.2.3", "digits": "0" * 16, "key": KEY}
        parts["signature"] = face.short_signature(KEY, "1.2.3", "0" * 16)
        parts[change] = bytes(32) if change == "key" else "x" + str(parts[change])[1:]

        assert not face.check_short_signature(
            parts["key"], parts["id"], parts["digits"], parts["signature"]
        )


class TestPrinted:
    @pytest.mark.parametrize(
        ("kind", "value", "shown"),
        [
            ("date", "2024-03-09", "2024年03月09日"),
            ("money", "1000000.00", "人民币 1,000,000.00 元"),
            ("money", "USD 5000.50", "美元 5,000.50 元"),
            ("area", "89.5", "89.50 平方米"),
            ("term", "2020-01-05/2050-01-04", "2020年01月05日 至 2050年01月04日"),
            ("unit", "370105012002GB00001F00010751", "370105 012002 GB00001 F00010751"),
            ("text", "任意", "任意"),
        ],
    )
    def test_each_kind_of_field(self, kind: str, value: str, shown: str) -> None:
        """A value of the record as people read it."""
        assert shown == face.printed(FaceField("x", "甲", "X", kind), {"x": value})


class TestTypes:
    def test_every_type_is_well_made(self) -> None:
        """Codes begin with a credit code that checks, and say what is still to be checked."""
        assert {types.BUSINESS_LICENSE, types.REAL_ESTATE_CERTIFICATE} == set(types.all_types())

    @pytest.mark.parametrize(
        ("wrong", "instead"),
        [
            ("code: 11100000MB0143028R001", "code: 11100000MB0143028X001"),
            ("code: 11100000MB0143028R001", "code: 11100000MB03271699001"),
            ("code: 11100000MB0143028R001", "code: 11100000MB0143028R01"),
            ("template: business_license.typ", "template: none.typ"),
            ("kind: money", "kind: picture"),
        ],
    )
    def test_a_type_that_is_not_is_not_loaded(
        self, tmp_path: Path, wrong: str, instead: str
    ) -> None:
        """The file and what is wrong with it are named."""
        text = (types.FOLDER / "business_license.yaml").read_text("utf-8")
        (tmp_path / "type.yaml").write_text(text.replace(wrong, instead), "utf-8")

        with pytest.raises(Invalid, match=r"license type type\.yaml"):
            types.read(tmp_path / "type.yaml")

    def test_a_face_with_a_field_too_few_or_too_many(self) -> None:
        """What the type does not know, and what it must have."""
        held = types.license_type(types.BUSINESS_LICENSE)
        whole = dict(business_license().face)

        for face_ in ({**whole, "address": ""}, {**whole, "colour": "red"}):
            with pytest.raises(Invalid):
                types.check_face(held, face_)


class TestRecord:
    def test_the_bytes_are_canonical(self) -> None:
        """RFC 8785: keys sorted, no blanks, and the digests are of these bytes."""
        held = made(certificate())

        assert held.encoded.startswith(b'{"defined_by":{"code":"11100000MB03271699"')
        assert hashlib.sha256(held.encoded).digest() == held.digest

    def test_an_issuer_that_does_not_check_is_refused(self) -> None:
        """A license under a mistyped credit code would be refused by everybody else."""
        with pytest.raises(Invalid):
            made(replace(certificate(), issuer="11330784MB90003308"))
