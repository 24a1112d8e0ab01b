"""The CMS signature inside a sealed PDF (ETSI EN 319 122-1 CAdES-B, RFC 5652), by hand.

Deliberately narrow: one signer, SHA-256, P-256 or RSA ≥ 2048, detached content, the signing
certificate bound by its digest. Anything else is named as unsupported, never waved through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asn1crypto import cms, tsp
from asn1crypto import core as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from license_vault.verify.report import stop
from schemas.canonical import sha256


@dataclass(frozen=True)
class Sealed:
    """A signature that holds over the bytes given; whether its chain is trusted is still open."""

    chain: tuple[x509.Certificate, ...]
    evidence: str


def check(contents: bytes, signed: Sequence[bytes]) -> Sealed:
    """Prove the signature in /Contents over the signed ranges; stops with the reason otherwise.

    1. one SignerInfo, detached; 2. the message digest is that of the ranges (RFC 5652 11.2);
    3. signing-certificate-v2 names the certificate (RFC 5035 5.4.1.1); 4. the signature over the
    signed attributes holds. Still owed by the caller: the chain.
    """
    data = _signed_data(contents)
    signer = data["signer_infos"][0]
    if signer["digest_algorithm"]["algorithm"].native != "sha256":
        stop("unsupported-seal", f"digest {signer['digest_algorithm']['algorithm'].native}")
    digest = sha256(b"".join(signed))
    attributes = _attributes(signer)
    if attributes["content_type"].native != "data":
        stop("bad-signature", "the signed attributes speak of another content type")
    if attributes["message_digest"].native != digest:
        stop("document-changed", f"the file's SHA-256 is {digest.hex()}, the seal holds another")
    leaf, others = _certificates(data, signer)
    _check_certificate_digest(attributes["signing_certificate_v2"], leaf)
    _check_signature(signer, leaf)
    # RFC 5652 5.4: what is signed is the DER of the attributes as a SET OF.
    return Sealed((leaf, *others), f"SHA-256 {digest.hex()}, signed by {_name(leaf)}")


def certificates(contents: bytes) -> tuple[x509.Certificate, ...]:
    """The signer's certificate and the others in a signature, *nothing* of it verified."""
    data = _signed_data(contents)
    leaf, others = _certificates(data, data["signer_infos"][0])
    return (leaf, *others)


def _signed_data(contents: bytes) -> Any:
    try:
        info = cms.ContentInfo.load(contents)
        length = len(info.dump())
        # The hole is padded with zeros; anything else there is not covered by the signature.
        if contents[length:].strip(b"\0"):
            stop("bad-signature", "something hides behind the signature in /Contents")
        if info["content_type"].native != "signed_data":
            stop("unsupported-seal", "the seal is not CMS signed data")
        data = info["content"]
        if len(data["signer_infos"]) != 1:
            stop("several-seals", f"{len(data['signer_infos'])} signers in one seal")
        inside = data["encap_content_info"]
        if inside["content_type"].native != "data" or inside["content"].native is not None:
            stop("unsupported-seal", "the seal is not a detached signature over the file")
    except (ValueError, TypeError, KeyError) as err:
        stop("bad-signature", f"the seal is not CMS: {type(err).__name__}")
    return data


def _attributes(signer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in signer["signed_attrs"]:
        name = attribute["type"].native
        # RFC 5652 5.3: no two attributes of one type, and these have exactly one value.
        if name in found or len(attribute["values"]) != 1:
            stop("bad-signature", f"the signed attribute {name} is doubled")
        found[name] = attribute["values"][0]
    for needed in ("content_type", "message_digest", "signing_certificate_v2"):
        if needed not in found:
            stop("unsupported-seal", f"the seal lacks the signed attribute {needed}")
    return found


def _certificates(data: Any, signer: Any) -> tuple[x509.Certificate, list[x509.Certificate]]:
    sid = signer["sid"]
    if sid.name != "issuer_and_serial_number":
        stop("unsupported-seal", "the signer is not named by issuer and serial number")
    wanted = (sid.chosen["issuer"].dump(), sid.chosen["serial_number"].native)
    leaf, others = None, []
    for choice in data["certificates"]:
        if choice.name != "certificate":
            stop("unsupported-seal", "the seal carries something other than certificates")
        held = x509.load_der_x509_certificate(choice.chosen.dump())
        if (held.issuer.public_bytes(), held.serial_number) == wanted:
            leaf = held
        else:
            others.append(held)
    if leaf is None:
        stop("bad-signature", "the signer's certificate is not in the seal")
    return leaf, others


def _check_certificate_digest(attribute: Any, leaf: x509.Certificate) -> None:
    named = tsp.SigningCertificateV2.load(attribute.dump())["certs"][0]
    # RFC 5035 4: SHA-256 is the default of hash_algorithm.
    if named["hash_algorithm"]["algorithm"].native != "sha256":
        stop("unsupported-seal", "the certificate is bound by another digest than SHA-256")
    if named["cert_hash"].native != sha256(leaf.public_bytes(Encoding.DER)):
        stop("bad-signature", "the seal was made with another certificate")


def _check_signature(signer: Any, leaf: x509.Certificate) -> None:
    key, signature = leaf.public_key(), signer["signature"].native
    signed = asn1.SetOf.load(signer["signed_attrs"].untag().dump()).dump()
    algorithm = signer["signature_algorithm"]
    try:
        match key:
            case ec.EllipticCurvePublicKey() if key.curve.name == "secp256r1":
                _expect(algorithm, "ecdsa", "sha256")
                key.verify(signature, signed, ec.ECDSA(SHA256()))
            case rsa.RSAPublicKey() if key.key_size >= 2048:
                _expect(algorithm, "rsassa_pkcs1v15", "sha256")
                key.verify(signature, signed, padding.PKCS1v15(), SHA256())
            case _:
                stop("unsupported-seal", "the seal's key is of a kind that is not known here")
    except InvalidSignature:
        stop("bad-signature", "the signature does not fit the seal's key")


def _expect(algorithm: Any, kind: str, digest: str) -> None:
    if algorithm.signature_algo != kind:
        stop("unsupported-seal", f"signature algorithm {algorithm.signature_algo}")
    # PKCS #1's plain rsaEncryption leaves the digest to the digest algorithm, checked before.
    if algorithm["algorithm"].native != "rsassa_pkcs1v15" and algorithm.hash_algo != digest:
        stop("unsupported-seal", f"signature digest {algorithm.hash_algo}")


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
