"""A second opinion on our credentials: the PyPI package `sd-jwt`, with the issuer's key.

It is the reference implementation by the authors of RFC 9901 and shares no code with us.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto.jwk import JWK
from jwcrypto.jws import InvalidJWSSignature
from sd_jwt.verifier import SDJWTVerifier

from license_vault import sd_jwt
from tests.license_vault.verify import making
from tests.license_vault.verify.making import Authority


@pytest.fixture(scope="module")
def seal() -> making.Leaf:
    return Authority().seal


def opened(credential: str, key: Any) -> dict[str, Any]:
    """The claims that the other library finds proved under `key`."""
    verifier = SDJWTVerifier(credential, lambda issuer, header: key)
    return dict(verifier.get_verified_payload())


def public(leaf: making.Leaf) -> Any:
    spki = leaf.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return JWK.from_pem(spki)


class TestSdJwt:
    def test_it_accepts_ours_with_every_field(self, seal: making.Leaf) -> None:
        """The whole face, and every claim that cannot be withheld."""
        told = opened(making.credential(seal), public(seal))

        assert {"name": "张三丰", "address": "长安街 1 号", "area_m2": "88.00"} == told["face"]
        assert making.claims() == {name: told[name] for name in making.claims()}

    def test_it_accepts_what_the_holder_left_over(self, seal: making.Leaf) -> None:
        """One field shown, the others withheld; and nothing shown at all."""
        whole = making.credential(seal)

        some = opened(sd_jwt.present(whole, ["address"]), public(seal))
        none = opened(sd_jwt.present(whole, []), public(seal))

        assert {"address": "长安街 1 号"} == some["face"]
        assert {} == none["face"]

    def test_the_key_is_in_the_credential(self, seal: making.Leaf) -> None:
        """`x5c` carries the issuer's certificate: a verifier fetches nothing."""
        credential = making.credential(seal)
        head = credential.split(".")[0]
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        leaf = x509.load_der_x509_certificate(base64.b64decode(header["x5c"][0]))
        spki = leaf.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

        assert "dc+sd-jwt" == header["typ"]
        assert "张三丰" == opened(credential, JWK.from_pem(spki))["face"]["name"]

    def test_it_refuses_another_key(self, seal: making.Leaf) -> None:
        """The tests above can fail."""
        with pytest.raises(InvalidJWSSignature):
            opened(making.credential(seal), public(Authority().seal))
