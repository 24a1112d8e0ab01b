"""The signature written by hand, read back by a library that knows CMS."""

from __future__ import annotations

from pathlib import Path

import pytest
from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from license_vault import cades
from license_vault.signer.keystore import Keystore, open_or_make
from schemas.canonical import sha256

DIGEST = sha256(b"document")


@pytest.fixture(scope="module")
def store(keys: Path) -> Keystore:
    """The keys that the signer would hold."""
    return open_or_make(keys)


class TestSignedAttributes:
    def test_they_are_the_der_that_the_library_would_write(self, store: Keystore) -> None:
        """Byte for byte, the order of the set included."""
        certificate = store.certificates.seal[0]
        tsp.SigningCertificateV2  # noqa: B018  # importing it teaches asn1crypto the attribute
        bound = {"certs": [{"cert_hash": sha256(certificate)}]}
        kinds = {
            "content_type": "data",
            "message_digest": DIGEST,
            "signing_certificate_v2": bound,
        }
        expected = cms.CMSAttributes(
            [cms.CMSAttribute({"type": kind, "values": [value]}) for kind, value in kinds.items()]
        )

        assert expected.dump() == cades.signed_attributes(DIGEST, certificate)


class TestSignedData:
    def test_a_library_reads_what_was_written(self, store: Keystore) -> None:
        """One signer, named by issuer and serial; detached; the chain inside; strict DER."""
        certificates = store.certificates
        tbs = cades.signed_attributes(DIGEST, certificates.seal[0])
        chain = (certificates.seal[0], certificates.root)

        info = cms.ContentInfo.load(cades.signed_data(tbs, store.seal(tbs), chain), strict=True)

        data = info["content"]
        [signer] = data["signer_infos"]
        leaf = x509.load_der_x509_certificate(certificates.seal[0])
        assert leaf.serial_number == signer["sid"].chosen["serial_number"].native
        assert leaf.issuer.public_bytes() == signer["sid"].chosen["issuer"].dump()
        assert data["encap_content_info"]["content"].native is None
        assert set(chain) == {each.chosen.dump() for each in data["certificates"]}
        assert tbs == signer["signed_attrs"].untag().dump()
        assert "sha256_ecdsa" == signer["signature_algorithm"]["algorithm"].native

    def test_a_serial_number_whose_first_bit_is_set_stays_positive(self, store: Keystore) -> None:
        """X.690 8.3: an INTEGER is two's complement."""
        root = x509.load_der_x509_certificate(store.certificates.root)
        number = root.serial_number

        written = cades._issuer_and_serial(root.public_bytes(Encoding.DER))

        held = cms.IssuerAndSerialNumber.load(written, strict=True)
        assert number == held["serial_number"].native
