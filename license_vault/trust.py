"""What a verifier trusts: a dated bundle of roots, the log's key, status lists; and chains to it.

The bundle is handed over by a way the verifier trusts (the hub's HTTPS, an officer's USB stick); it
is not signed, because whoever could make somebody accept a false signature key needs no signature.
`check_chain` builds and checks RFC 5280 paths. It asks nobody about revoked *certificates*: the
vault's own are replaced by a new bundle.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID

from schemas.errors import Invalid

# Leaf, two intermediates, root: longer paths are none of ours.
LONGEST_PATH = 4

# RFC 5280 4.2: a critical extension that is not processed makes the certificate unusable.
PROCESSED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)


class UntrustedChain(Invalid):
    """No path leads from this certificate to a root of the bundle."""

    code = "unknown-issuer"


class OutOfTime(UntrustedChain):
    """The path is right, and one of its certificates is not valid at the time asked about."""

    code = "certificate-out-of-time"


@dataclass(frozen=True)
class TrustBundle:
    """What one verifier believes, and since when. `status_lists`: address to signed token."""

    hub: str
    roots: tuple[bytes, ...]
    log_key: str | None
    made_at: datetime
    status_lists: Mapping[str, str] = field(default_factory=dict)

    def answers_for(self, address: str) -> bool:
        """Whether a status address belongs to the hub this bundle speaks for."""
        return bool(self.hub) and address.startswith(f"{self.hub}/")

    def without_lists(self) -> TrustBundle:
        """The same trust without its status lists, which are the bulk of it."""
        return replace(self, status_lists={})

    def to_json(self) -> dict[str, Any]:
        """The bundle as it is published and kept on disk."""
        return {
            "version": 1,
            "hub": self.hub,
            "made_at": self.made_at.astimezone(UTC).isoformat(),
            "roots": [base64.b64encode(der).decode() for der in self.roots],
            "log_key": self.log_key,
            "status_lists": dict(self.status_lists),
        }


def bundle(data: bytes) -> TrustBundle:
    """Read a published bundle. Raises `Invalid`."""
    try:
        told = json.loads(data)
        if told["version"] != 1:
            raise Invalid("this trust bundle has a version that is not known here")
        roots = tuple(base64.b64decode(each, validate=True) for each in told["roots"])
        for root in roots:
            x509.load_der_x509_certificate(root)
        return TrustBundle(
            hub=str(told["hub"]),
            roots=roots,
            log_key=told["log_key"],
            made_at=datetime.fromisoformat(told["made_at"]),
            status_lists={str(k): str(v) for k, v in told["status_lists"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise Invalid("this file is no trust bundle") from err


def check_chain(
    chain: Sequence[x509.Certificate], roots: Iterable[bytes], at: datetime
) -> tuple[x509.Certificate, ...]:
    """Return the path from the first certificate to a root, proved at `at` (RFC 5280 6.1).

    Raises `UntrustedChain` or `OutOfTime`. The caller must still check what the key was used for.
    """
    anchors = [x509.load_der_x509_certificate(root) for root in roots]
    try:
        path = _path(chain[0], chain[1:], anchors)
        # RFC 5280 6.1.3 (a)(2): every certificate of the path is valid at the time.
        for each in path:
            if not each.not_valid_before_utc <= at <= each.not_valid_after_utc:
                raise OutOfTime("a certificate of the seal's chain is not valid at this time")
        _check_leaf(path[0])
        for below, authority in enumerate(path[1:]):
            _check_authority(authority, below)
        for each in path:
            _check_extensions(each)
    except (x509.ExtensionNotFound, ValueError) as err:
        raise UntrustedChain("a certificate of the chain lacks what an issuer's must have") from err
    return tuple(path)


def _path(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], anchors: list[x509.Certificate]
) -> list[x509.Certificate]:
    path = [leaf]
    while len(path) < LONGEST_PATH:
        for issuer in [*anchors, *others]:
            if _issued(issuer, path[-1]):
                path.append(issuer)
                break
        else:
            break
        if path[-1] in anchors:
            return path
    raise UntrustedChain("no path leads from the certificate to a root that is trusted here")


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_leaf(leaf: x509.Certificate) -> None:
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    if not (usage.digital_signature or usage.content_commitment):
        raise UntrustedChain("the certificate's key may not sign")


def _check_authority(authority: x509.Certificate, below: int) -> None:
    # RFC 5280 6.1.4 (k) to (n): it is an authority, may sign certificates, and not too far down.
    basic = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    too_long = basic.path_length is not None and below > basic.path_length
    if not basic.ca or not usage.key_cert_sign or too_long:
        raise UntrustedChain("a certificate of the chain may not issue certificates")


def _check_extensions(certificate: x509.Certificate) -> None:
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in PROCESSED:
            raise UntrustedChain("a certificate has a critical extension that is not known here")
