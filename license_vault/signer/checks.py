"""What must hold before a key is used: the to-be-signed bytes, read, against what can be seen.

Pure judgement. Each check raises `Refused` naming its rule, and returns what it proved. None of
them proves that the facts in a record are true: that is the register's business.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from asn1crypto import cms, tsp

from license_vault import jws, sd_jwt, status_list
from license_vault.jws import BadToken
from schemas import checkpoint, merkle
from schemas.canonical import sha256
from schemas.checkpoint import Checkpoint
from schemas.errors import Invalid, Refused
from schemas.license import SealingState

_ATTRIBUTES = {"content_type", "message_digest", "signing_certificate_v2"}


@dataclass(frozen=True)
class Reserved:
    """What the signer may see of a reservation."""

    state: str
    pdf_digest: bytes
    sd_jwt_digest: bytes


def check_pdf(tbs: bytes, reserved: Reserved | None, certificate: bytes) -> Reserved:
    """Signed attributes (RFC 5652 5.4) over exactly the document that was reserved."""
    held = _open_reservation(reserved)
    found = _attributes(tbs)
    if found.keys() != _ATTRIBUTES:
        refuse("seal-attributes", "a seal signs content type, digest and certificate, no more")
    if found["content_type"].native != "data":
        refuse("seal-attributes", "a seal signs data")
    if found["message_digest"].native != held.pdf_digest:
        refuse("digest-differs", "this is not the document that was reserved")
    # Importing tsp is also what teaches asn1crypto the name of this attribute.
    bound = tsp.SigningCertificateV2.load(found["signing_certificate_v2"].dump())["certs"]
    # RFC 5035 4: SHA-256 is the default of hash_algorithm.
    if len(bound) != 1 or bound[0]["hash_algorithm"]["algorithm"].native != "sha256":
        refuse("not-our-certificate", "a seal names one certificate by SHA-256")
    if bound[0]["cert_hash"].native != sha256(certificate):
        refuse("not-our-certificate", "the seal's certificate is another one")
    return held


def check_sd_jwt(tbs: bytes, reserved: Reserved | None, certificate: bytes) -> Reserved:
    """The signing input of exactly the credential that was reserved, under our certificate."""
    held = _open_reservation(reserved)
    if sha256(tbs) != held.sd_jwt_digest:
        refuse("digest-differs", "this is not the credential that was reserved")
    _token(tbs, sd_jwt.TYP, certificate)
    return held


def check_status_list(
    tbs: bytes, number: int, slots: Mapping[int, int], certificate: bytes
) -> jws.Token:
    """A status list token whose bits are those that are committed, all of them and no other."""
    token = _token(tbs, status_list.TYP, certificate)
    address, claim = token.payload.get("sub"), token.payload.get("status_list")
    if not isinstance(address, str) or not address.endswith(f"/{number}"):
        refuse("status-list-address", "the token speaks of another list")
    if not isinstance(claim, dict):
        refuse("not-a-token", "there is no status_list claim")
    told = status_list.decode(claim)
    if told.bits != status_list.BITS or told.packed != status_list.pack(slots.items()):
        refuse("status-list-differs", "the bits are not those that are committed; read them again")
    return token


def check_checkpoint(
    tbs: bytes, last: Checkpoint | None, node: Callable[[int, int], bytes]
) -> Checkpoint:
    """A head of the tree that can be seen, and that only appends to the last one signed.

    1. The body is canonical. 2. It has the origin that this tree has always had. 3. It does not
    go back. 4. Its root is that of the committed nodes. 5. It is consistent with the last head.
    """
    asked = _head(tbs)
    if last is not None and asked.origin != last.origin:
        refuse("another-origin", "this tree has always been signed under another origin")
    if last is not None and asked.size < last.size:
        refuse("log-rolled-back", f"{asked.size} entries; {last.size} were signed before")
    try:
        if merkle.frontier(asked.size, node).root() != asked.root:
            refuse("root-differs", "this is not the root of the committed entries")
        if last is not None:
            path = merkle.consistency_path(last.size, asked.size, node)
            merkle.verify_consistency(last.size, last.root, asked.size, asked.root, path)
    except merkle.ProofFailed as err:
        raise Refused(f"the tree was rewritten: {err.message}", rule="log-inconsistent") from err
    return asked


def claimed_size(tbs: bytes) -> int:
    """How many entries a head claims; nothing is checked but its form."""
    return _head(tbs).size


def refuse(rule: str, message: str) -> NoReturn:
    """Say no."""
    raise Refused(message, rule=rule)


def _open_reservation(reserved: Reserved | None) -> Reserved:
    if reserved is None:
        raise Refused("there is no such reservation", rule="not-reserved")
    if reserved.state != SealingState.RESERVED:
        raise Refused(f"the reservation is {reserved.state}", rule="not-reserved")
    return reserved


def _attributes(tbs: bytes) -> dict[str, cms.CMSAttribute]:
    try:
        attributes = cms.CMSAttributes.load(tbs, strict=True)
        if any(len(each["values"]) != 1 for each in attributes):
            refuse("seal-attributes", "a signed attribute has one value")
        found = {each["type"].native: each["values"][0] for each in attributes}
        if len(found) != len(attributes):
            refuse("seal-attributes", "a signed attribute is doubled")
    except (ValueError, TypeError) as err:
        raise Refused("these are no signed attributes", rule="seal-attributes") from err
    return found


def _token(tbs: bytes, typ: str, certificate: bytes) -> jws.Token:
    try:
        # The signature part is not there yet; an empty one makes a compact token of the input.
        token = jws.parse(f"{tbs.decode('ascii')}.", typ=typ, longest=status_list.LONGEST_TOKEN)
    except (BadToken, Invalid, UnicodeDecodeError) as err:
        raise Refused(f"this is no {typ} to be signed: {err}", rule="not-a-token") from err
    x5c = token.header.get("x5c")
    if not isinstance(x5c, list) or not x5c or base64.b64decode(x5c[0]) != certificate:
        refuse("not-our-certificate", "the token's certificate is another one")
    return token


def _head(tbs: bytes) -> Checkpoint:
    try:
        head = checkpoint.parse(tbs)
        # C2SP tlog-checkpoint: one spelling, and no extension lines of ours.
        canonical = tbs == checkpoint.body(head.origin, head.size, head.root)
    except Invalid as err:
        raise Refused("this is no checkpoint body", rule="not-a-checkpoint") from err
    if not canonical:
        refuse("not-a-checkpoint", "this is no canonical checkpoint body")
    return head
