"""The development keystore: keys as files, PKCS#8 encrypted under a passphrase in a secret file.

It is made at the first start, with a certificate authority of its own. Keys that lie on the disk
beside their passphrase protect nothing from whoever reads that disk: a real office keeps its keys
in hardware. `WARNING` says so at every start.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.x509.oid import NameOID

from license_vault.signer.client import Certificates
from license_vault.signer.secret_files import secret, write_once

WARNING = """\
****************************************************************************************
*  DEVELOPMENT KEYSTORE: the sealing keys are files on this machine, and so is their    *
*  passphrase. Nothing sealed with them binds anybody. 开发用密钥库，所盖印章不具法律效力。 *
****************************************************************************************"""

FOLDER = "signer"
PASSPHRASE = "signer.passphrase"  # noqa: S105  # the name of a file
ROOT_DAYS, LEAF_DAYS = 3653, 1826
# Leaf keys: file name → the name that a verifier reads in the certificate.
LEAVES = {
    "seal": "Yizhan development seal 驿站开发用电子印章",
    "sd-jwt": "Yizhan development credential issuer",
    "status-list": "Yizhan development status list issuer",
}
ORGANISATION = "Yizhan development 驿站开发环境"

_PRIVATE = serialization.PrivateFormat.PKCS8
_ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


@dataclass(frozen=True)
class Keystore:
    """The keys, parsed once. ECDSA is deterministic (RFC 6979): sealing again changes no byte."""

    seal_key: ec.EllipticCurvePrivateKey
    sd_jwt_key: ec.EllipticCurvePrivateKey
    status_list_key: ec.EllipticCurvePrivateKey
    checkpoint_key: ed25519.Ed25519PrivateKey
    certificates: Certificates

    def seal(self, tbs: bytes) -> bytes:
        """A DER signature, as CMS wants it."""
        return self.seal_key.sign(tbs, _ECDSA)

    def sd_jwt(self, tbs: bytes) -> bytes:
        """An ES256 signature over a credential."""
        return _raw(self.sd_jwt_key, tbs)

    def status_list(self, tbs: bytes) -> bytes:
        """An ES256 signature over a status list token."""
        return _raw(self.status_list_key, tbs)

    def checkpoint(self, tbs: bytes) -> bytes:
        """An Ed25519 signature over a tree head."""
        return self.checkpoint_key.sign(tbs)


def open_or_make(home: Path, *, now: datetime | None = None) -> Keystore:
    """Open the keystore below `home`; make it when there is none. May be killed at any point."""
    folder = home / FOLDER / "keys"
    passphrase = _passphrase(home)
    if not folder.exists():
        folder.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        fresh = folder.with_name(f"keys.{os.getpid()}.{secrets.token_hex(4)}")
        fresh.mkdir(mode=0o700)
        _make(fresh, passphrase, now or datetime.now(UTC))
        try:
            fresh.rename(folder)
        except OSError:
            shutil.rmtree(fresh)  # somebody was first
    return _open(folder, passphrase)


def export_roots(keystore: Keystore, folder: Path) -> None:
    """Write what a verifier may be handed: the root certificate and the log's public key."""
    folder.mkdir(parents=True, exist_ok=True)
    root = x509.load_der_x509_certificate(keystore.certificates.root)
    (folder / "roots.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "log.ed25519").write_text(keystore.certificates.checkpoint_key.hex() + "\n")


def _passphrase(home: Path) -> bytes:
    return secret(home, PASSPHRASE).hex().encode()


def _open(folder: Path, passphrase: bytes) -> Keystore:
    keys = {name: _load_ec(folder / f"{name}.key", passphrase) for name in LEAVES}
    log_key = serialization.load_pem_private_key((folder / "log.key").read_bytes(), passphrase)
    assert isinstance(log_key, ed25519.Ed25519PrivateKey)
    chains = {name: (_load_certificate(folder / f"{name}.pem"),) for name in LEAVES}
    return Keystore(
        keys["seal"],
        keys["sd-jwt"],
        keys["status-list"],
        log_key,
        Certificates(
            root=_load_certificate(folder / "root.pem"),
            seal=chains["seal"],
            sd_jwt=chains["sd-jwt"],
            status_list=chains["status-list"],
            checkpoint_key=log_key.public_key().public_bytes_raw(),
        ),
    )


def _make(folder: Path, passphrase: bytes, now: datetime) -> None:
    root_key = ec.generate_private_key(ec.SECP256R1())
    root_name = _name("Yizhan development root 驿站开发用根证书")
    root = _authority(root_key, root_name, now)
    _keep(folder / "root", root_key, passphrase, root)
    for name, common_name in LEAVES.items():
        key = ec.generate_private_key(ec.SECP256R1())
        _keep(folder / name, key, passphrase, _leaf(key, common_name, root_key, root, now))
    write_once(folder / "log.key", _encrypted(ed25519.Ed25519PrivateKey.generate(), passphrase))


def _authority(key: ec.EllipticCurvePrivateKey, name: x509.Name, now: datetime) -> x509.Certificate:
    return (
        _certificate(name, name, key.public_key(), now, ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    common_name: str,
    root_key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
    now: datetime,
) -> x509.Certificate:
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    return (
        _certificate(_name(common_name), root.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issued_by, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    # RFC 5280 4.2.1.3: an authority signs certificates; a seal signs documents and stands by them.
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _raw(key: ec.EllipticCurvePrivateKey, tbs: bytes) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(tbs, _ECDSA))
    return r.to_bytes(32) + s.to_bytes(32)


def _keep(
    path: Path, key: ec.EllipticCurvePrivateKey, passphrase: bytes, certificate: x509.Certificate
) -> None:
    write_once(path.with_name(path.name + ".key"), _encrypted(key, passphrase))
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    write_once(path.with_name(path.name + ".pem"), pem)


def _encrypted(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, passphrase: bytes
) -> bytes:
    sealed = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, _PRIVATE, sealed)


def _load_ec(path: Path, passphrase: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _load_certificate(path: Path) -> bytes:
    held = x509.load_pem_x509_certificate(path.read_bytes())
    return held.public_bytes(serialization.Encoding.DER)
