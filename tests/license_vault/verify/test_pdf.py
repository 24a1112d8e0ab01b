"""A sealed PDF: genuine as made, and never VALID after anybody touched it."""

from __future__ import annotations

import io
import random
import re
from datetime import date, timedelta

import pytest
from pyhanko.pdf_utils import generic, writer
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields

from license_vault.verify import Outcome, Report, StatusSource, Verdict, verify
from license_vault.verify.report import PDF_STEPS
from schemas.canonical import canonical
from tests.license_vault.verify import making
from tests.license_vault.verify.making import AT, Authority

FLIPS = 200


def judged(data: bytes, authority: Authority, source: StatusSource | None = None) -> Report:
    return verify(data, authority.trust, AT, source)


def appended(data: bytes) -> bytes:
    """The same document with an incremental update behind the seal."""
    update = IncrementalPdfFileWriter(io.BytesIO(data))
    update.root[pdf_name("/Lang")] = generic.TextStringObject("zh")
    update.update_root()
    out = io.BytesIO()
    update.write(out)
    return out.getvalue()


def signed_positions(data: bytes) -> list[int]:
    """Where the bytes are that the seal covers."""
    found = re.search(rb"/ByteRange\s*\[\s*0\s+(\d+)\s+(\d+)\s+(\d+)", data)
    assert found is not None
    first, resumed, rest = map(int, found.groups())
    return [*range(first), *range(resumed, resumed + rest)]


class TestGenuine:
    def test_every_step_is_proved(
        self, authority: Authority, sealed_pdf: bytes, in_force: StatusSource
    ) -> None:
        """A license as the vault makes it is VALID, with evidence for each numbered step."""
        report = judged(sealed_pdf, authority, in_force)

        assert (Verdict.VALID, "proved") == (report.verdict, report.reason)
        assert [kind.name for kind in PDF_STEPS] == [step.name for step in report.steps]
        assert {Outcome.PASSED} == {step.outcome for step in report.steps[:-1]}
        assert all(step.evidence for step in report.steps)

    def test_what_it_says_of_the_license(
        self, authority: Authority, sealed_pdf: bytes, in_force: StatusSource
    ) -> None:
        """The facts come from the record inside."""
        facts = judged(sealed_pdf, authority, in_force).license

        assert facts is not None
        assert ("营业执照", "长安驿餐饮有限公司") == (facts.type_name, facts.holder)

    def test_a_person_is_masked(self, authority: Authority, in_force: StatusSource) -> None:
        """A report does not repeat a person's name."""
        facts = judged(making.sealed(authority.seal), authority, in_force).license

        assert facts is not None
        assert "张**" == facts.holder

    def test_a_license_ends_with_its_last_day(self, authority: Authority) -> None:
        """`valid_to` is the last day, in civil time; the next morning it has expired."""
        ends_today = making.issued(authority.seal, valid_to=date(2026, 11, 22))

        assert "status-unavailable" == judged(ends_today, authority).reason
        later = verify(ends_today, authority.trust, AT + timedelta(days=1))
        assert (Verdict.INVALID, "expired") == (later.verdict, later.reason)


class TestTampered:
    def test_two_hundred_flipped_bytes(
        self, authority: Authority, sealed_pdf: bytes, in_force: StatusSource
    ) -> None:
        """Any bit flipped in a signed range: never VALID, and nearly always named as changed."""
        chance = random.Random(20261122)
        reasons = []
        for at in chance.sample(signed_positions(sealed_pdf), FLIPS):
            spoiled = bytearray(sealed_pdf)
            spoiled[at] ^= 1 << chance.randrange(8)
            report = judged(bytes(spoiled), authority, in_force)
            assert Verdict.VALID != report.verdict
            reasons.append(report.reason)

        assert reasons.count("document-changed") > FLIPS * 0.9

    def test_a_flipped_byte_in_the_signature(
        self, authority: Authority, sealed_pdf: bytes, in_force: StatusSource
    ) -> None:
        """The hole that the seal lies in is no hiding place either."""
        covered = set(signed_positions(sealed_pdf))
        hole = [at for at in range(len(sealed_pdf)) if at not in covered]
        for at in hole[1:-1:331]:
            spoiled = bytearray(sealed_pdf)
            spoiled[at] = ord("7") if spoiled[at] != ord("7") else ord("8")
            assert Verdict.VALID != judged(bytes(spoiled), authority, in_force).verdict

    def test_something_was_appended(self, authority: Authority, sealed_pdf: bytes) -> None:
        """An incremental update behind the seal is not covered by it."""
        report = judged(appended(sealed_pdf), authority)

        assert (Verdict.INVALID, "not-whole-document") == (report.verdict, report.reason)

    @pytest.mark.parametrize("tail", [b"\n", b"%%EOF\n", b"\0" * 100])
    def test_even_white_space_behind_the_end(
        self, authority: Authority, sealed_pdf: bytes, tail: bytes
    ) -> None:
        """The seal covers every byte to the last one."""
        assert Verdict.INVALID == judged(sealed_pdf + tail, authority).verdict

    def test_something_before_the_beginning(self, authority: Authority, sealed_pdf: bytes) -> None:
        """And from the first one."""
        assert Verdict.VALID != judged(b"GIF89a;\n" + sealed_pdf, authority).verdict

    def test_a_second_signature(self, authority: Authority) -> None:
        """A license carries one signature: a second one is somebody else's statement."""
        open_seal = making.sealed(authority.seal, permission=fields.MDPPerm.FILL_FORMS)
        twice = making.sealed(authority.seal, open_seal, certify=False, field_name="Second")

        report = judged(twice, authority)

        assert (Verdict.INVALID, "several-seals") == (report.verdict, report.reason)

    @pytest.mark.parametrize("part", [0.99, 0.5, 0.1])
    def test_truncated(self, authority: Authority, sealed_pdf: bytes, part: float) -> None:
        """A file cut off is never VALID."""
        cut = sealed_pdf[: int(len(sealed_pdf) * part)]

        assert Verdict.VALID != judged(cut, authority).verdict

    def test_the_seal_was_taken_off(self, authority: Authority) -> None:
        """A record of ours without its seal is not "unsigned", it is spoiled."""
        report = judged(making.rendered(), authority)

        assert (Verdict.INVALID, "seal-missing") == (report.verdict, report.reason)


class TestSealedButWrong:
    def test_not_certified(self, authority: Authority) -> None:
        """An approval signature permits changes."""
        assert (
            "not-certified"
            == judged(making.sealed(authority.seal, certify=False), authority).reason
        )

    def test_certified_for_changes(self, authority: Authority) -> None:
        """DocMDP P=2 permits forms to be filled in."""
        loose = making.sealed(authority.seal, permission=fields.MDPPerm.FILL_FORMS)

        assert "not-certified" == judged(loose, authority).reason

    def test_not_pades(self, authority: Authority) -> None:
        """adbe.pkcs7.detached is another format."""
        other = making.sealed(
            authority.seal, subfilter=fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED
        )

        report = judged(other, authority)

        assert (Verdict.INDETERMINATE, "unsupported-seal") == (report.verdict, report.reason)

    @pytest.mark.parametrize("kind", ["script", "open", "link", "layers", "field"])
    def test_interactive_content(self, authority: Authority, kind: str) -> None:
        """Nothing may act, hide or lead away, even if the seal covers it."""
        plain = making.rendered(touch=lambda made: spoil(made, kind))

        report = judged(making.sealed(authority.seal, plain), authority)

        assert (Verdict.INVALID, "interactive-content") == (report.verdict, report.reason)

    def test_somebody_elses_seal_on_our_license(self, sealed_pdf: bytes) -> None:
        """Who names our hub and is not sealed by it, is a forgery."""
        report = judged(sealed_pdf, Authority("Other root"))

        assert (Verdict.INVALID, "not-our-seal") == (report.verdict, report.reason)

    def test_a_foreign_license(self, authority: Authority) -> None:
        """A seal of an authority that is not in the bundle: we cannot say."""
        told = making.record(status={"status_list": {"uri": "https://other.example/1", "idx": 1}})
        foreign = making.sealed(Authority("Other root").seal, making.rendered(told))

        report = judged(foreign, authority)

        assert (Verdict.INDETERMINATE, "unknown-issuer") == (report.verdict, report.reason)

    def test_a_certificate_out_of_time(self, authority: Authority) -> None:
        """B-B has no proof of time: an expired certificate leaves the question open."""
        old = authority.leaf("Old", start=AT - timedelta(days=20), days=5)

        report = judged(making.sealed(old), authority)

        assert (Verdict.INDETERMINATE, "certificate-out-of-time") == (report.verdict, report.reason)

    def test_face_and_record_disagree(self, authority: Authority) -> None:
        """The face names the digest of its record; another record is another license."""
        other = making.rendered(attached=canonical(making.record(number="1")), keywords="sha256=00")

        assert "record-mismatch" == judged(making.sealed(authority.seal, other), authority).reason

    def test_a_record_that_is_not_canonical(self, authority: Authority) -> None:
        """Another spelling of the same facts was not made by us."""
        loose = canonical(making.record()).replace(b'","', b'", "')

        report = judged(making.sealed(authority.seal, making.rendered(attached=loose)), authority)

        assert "record-mismatch" == report.reason

    def test_no_record_at_all(self, authority: Authority) -> None:
        """A trusted seal on something else makes it no license."""
        letter = making.sealed(authority.seal, making.rendered(attached=b""))

        report = judged(letter, authority)

        assert (Verdict.INDETERMINATE, "not-a-license") == (report.verdict, report.reason)

    def test_an_identifier_of_ours_that_does_not_check(self, authority: Authority) -> None:
        """Refused, without repeating it."""
        told = making.record(identifier=making.LICENSE_ID[:-1] + "7")

        report = judged(making.sealed(authority.seal, making.rendered(told)), authority)

        assert (Verdict.INVALID, "bad-identifier") == (report.verdict, report.reason)

    def test_a_foreign_identifier_that_does_not_check(self, authority: Authority) -> None:
        """Public licenses exist whose identifiers fail: the verdict stays open."""
        told = making.record(
            identifier=making.LICENSE_ID[:-1] + "7",
            status={"status_list": {"uri": "https://other.example/1", "idx": 1}},
        )

        report = judged(making.sealed(authority.seal, making.rendered(told)), authority)

        assert (Verdict.INDETERMINATE, "foreign-identifier") == (report.verdict, report.reason)

    def test_not_yet_in_force(self, authority: Authority) -> None:
        """A license from tomorrow on is not valid today."""
        told = making.record(valid_from="2026-11-23")

        report = judged(making.sealed(authority.seal, making.rendered(told)), authority)

        assert "not-yet-valid" == report.reason


class TestForeign:
    def test_an_ordinary_pdf(self, authority: Authority) -> None:
        """No seal, no record: nothing to judge, and it says so."""
        report = judged(making.rendered(attached=b"", keywords="a letter"), authority)

        assert (Verdict.INDETERMINATE, "no-seal") == (report.verdict, report.reason)

    @pytest.mark.parametrize("certify", [True, False])
    def test_a_signed_letter_of_somebody_else(self, authority: Authority, certify: bool) -> None:
        """However it was signed, and whatever came later, it is not for us to condemn."""
        plain = making.rendered(attached=b"", keywords="a letter")
        letter = making.sealed(Authority("Other root").seal, plain, certify=certify)

        for document in (letter, appended(letter)):
            assert Verdict.INDETERMINATE == judged(document, authority).verdict

    def test_our_seal_with_something_appended_is_not_foreign(self, authority: Authority) -> None:
        """An update that hides the record does not make a license a stranger's letter."""
        letter = making.sealed(authority.seal, making.rendered(attached=b""))

        assert Verdict.INVALID == judged(appended(letter), authority).verdict


def spoil(made: writer.PdfFileWriter, kind: str) -> None:
    """Put something interactive into a document before it is sealed."""
    dictionary, text = generic.DictionaryObject, generic.TextStringObject
    script = dictionary(
        {pdf_name("/S"): pdf_name("/JavaScript"), pdf_name("/JS"): text("app.alert(1)")}
    )
    link = dictionary(
        {
            pdf_name("/Type"): pdf_name("/Annot"),
            pdf_name("/Subtype"): pdf_name("/Link"),
            pdf_name("/Rect"): generic.ArrayObject(map(generic.NumberObject, (0, 0, 9, 9))),
        }
    )
    field = dictionary({pdf_name("/FT"): pdf_name("/Tx"), pdf_name("/T"): text("name")})
    held: dict[str, tuple[str, generic.PdfObject]] = {
        "script": ("/Names2", generic.ArrayObject([script])),
        "open": ("/OpenAction", script),
        "link": ("/Hidden", generic.ArrayObject([made.add_object(link)])),
        "layers": ("/OCProperties", dictionary()),
        "field": ("/Fields2", generic.ArrayObject([made.add_object(field)])),
    }
    key, value = held[kind]
    made.root[pdf_name(key)] = value
