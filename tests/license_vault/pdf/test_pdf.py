"""The seal: certified, one, and refused by everybody when a byte moves."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from license_vault import face, pdf
from license_vault.signer.keystore import Keystore, open_or_make
from schemas.errors import Invalid
from tests.license_vault.office import certificate, poppler
from tests.license_vault.pdf.test_face import drawn

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(keys: Path) -> Keystore:
    """The keys that the signer would hold."""
    return open_or_make(keys)


@pytest.fixture(scope="module")
def sealed(store: Keystore) -> bytes:
    """A sealed page."""
    chain = store.certificates.seal
    prepared = pdf.prepare(drawn(certificate()), chain, reason="不动产权证书")
    return pdf.seal(prepared, store.seal(prepared.tbs), chain)


class TestSeal:
    def test_it_is_certified_and_nothing_may_change(self, sealed: bytes) -> None:
        """ISO 32000-2 12.8.2.2: DocMDP, P=1, and it is the only signature."""
        reader = PdfFileReader(io.BytesIO(sealed))

        [signature] = reader.embedded_signatures
        assert 1 == signature.docmdp_level.value
        assert "/ETSI.CAdES.detached" == signature.sig_object["/SubFilter"]

    def test_another_implementation_finds_it_intact_and_of_the_whole_file(
        self, sealed: bytes, store: Keystore
    ) -> None:
        """pyHanko's validator, which shares no code with the verifier here."""
        root = x509.Certificate.load(store.certificates.root)
        reader = PdfFileReader(io.BytesIO(sealed))

        status = validate_pdf_signature(
            reader.embedded_signatures[0], ValidationContext(trust_roots=[root])
        )

        assert status.bottom_line
        assert "ENTIRE_FILE" == status.coverage.name

    def test_pdfsig_says_valid_and_total(self, sealed: bytes, tmp_path: Path) -> None:
        """Poppler's opinion on the digest."""
        told = poppler(sealed, tmp_path, "pdfsig")
        if told is None:
            pytest.skip("pdfsig is not installed (apt-get install poppler-utils)")

        assert "Signature is Valid" in told
        assert "Total document signed" in told

    def test_sealing_again_gives_the_same_bytes(self, store: Keystore) -> None:
        """RFC 6979: a job that runs twice changes nothing."""
        chain = store.certificates.seal
        prepared = pdf.prepare(drawn(certificate()), chain, reason="x")

        once, twice = (pdf.seal(prepared, store.seal(prepared.tbs), chain) for _ in range(2))

        assert once == twice

    def test_a_signature_that_does_not_fit_its_gap(self, store: Keystore) -> None:
        """It is refused; the document's length is part of what was signed."""
        chain = store.certificates.seal
        prepared = pdf.prepare(drawn(certificate()), chain, reason="x")

        with pytest.raises(Invalid, match="gap"):
            pdf.seal(prepared, bytes(pdf.GAP_BYTES), chain)

    def test_only_the_gap_differs_from_what_was_reserved(self, store: Keystore) -> None:
        """The bytes that were digested are the bytes that are handed out."""
        chain = store.certificates.seal
        prepared = pdf.prepare(drawn(certificate()), chain, reason="x")
        whole = pdf.seal(prepared, store.seal(prepared.tbs), chain)

        end = prepared.gap + 2 * pdf.GAP_BYTES + 2
        assert prepared.document[: prepared.gap] == whole[: prepared.gap]
        assert prepared.document[end:] == whole[end:]
        assert len(prepared.document) == len(whole)

    def test_no_flipped_byte_passes_for_intact(self, sealed: bytes, store: Keystore) -> None:
        """Thirty places at random, outside the gap: pyHanko finds every one."""
        trust = ValidationContext(trust_roots=[x509.Certificate.load(store.certificates.root)])
        assert self._intact(sealed, trust)
        reader = PdfFileReader(io.BytesIO(sealed))
        _, first, resumed, rest = (int(n) for n in reader.embedded_signatures[0].byte_range)
        dice = random.Random(7)
        for _ in range(30):
            place = dice.choice([dice.randrange(first), resumed + dice.randrange(rest)])
            bent = bytearray(sealed)
            bent[place] ^= 1 << dice.randrange(8)
            assert not self._intact(bytes(bent), trust)

    @staticmethod
    def _intact(document: bytes, context: ValidationContext) -> bool:
        try:
            signature = PdfFileReader(io.BytesIO(document)).embedded_signatures[0]
            return bool(validate_pdf_signature(signature, context).intact)
        except Exception:
            return False  # not even a PDF any more


def test_the_level_that_is_declared_is_the_level_that_is_made() -> None:
    """B-B: no time-stamp, and nobody says that there is one."""
    assert "PAdES B-B" == pdf.LEVEL
    assert face.STANDARD == "a-3b"
