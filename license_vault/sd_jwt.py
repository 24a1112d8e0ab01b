"""A license as an SD-JWT VC: RFC 9901 and draft-ietf-oauth-sd-jwt-vc.

The holder may withhold any field of the face, and nothing else: identifier, version, digest of the
canonical record, validity and status pointer are always there (SD-JWT VC 3.2.2.2 forbids hiding
most of them). No key binding: these credentials are evidence about a license, not a login.

`prepare` and `assemble` make one around a signature from elsewhere; `read` takes one apart and
checks every rule on disclosures, but *not* the issuer's signature, the time or the status.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from license_vault import jws
from license_vault.jws import BadToken
from schemas.canonical import b64url, canonical, sha256, unb64url
from schemas.errors import Invalid

TYP = "dc+sd-jwt"
MEDIA_TYPE = "application/dc+sd-jwt"
VCT = "urn:cn:license:"
DISCLOSED_OBJECT = "face"
LONGEST = 256 * 1024
MOST_DISCLOSURES = 512

# RFC 9901 4.1: these two names carry the mechanism and can never be claims.
RESERVED = frozenset({"_sd", "..."})


class BadDisclosure(BadToken):
    """A disclosure is malformed, doubled, not referenced, or collides with a claim."""

    code = "bad-disclosure"


@dataclass(frozen=True)
class Prepared:
    """What the signer signs, and the disclosures that will travel beside it."""

    tbs: bytes
    disclosures: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """An SD-JWT taken apart; `claims` has the disclosed fields in their places. *Not* verified."""

    token: jws.Token
    claims: Mapping[str, Any]
    disclosed: tuple[str, ...]
    withheld: int


def license_claims(
    *,
    issuer: str,
    license_id: str,
    type_code: str,
    type_version: int,
    version: str,
    digest: bytes,
    status_uri: str,
    status_index: int,
    issued_at: datetime,
    not_before: datetime | None = None,
    expires_at: datetime | None = None,
) -> dict[str, Any]:
    """The claims that are always visible; `digest` is SHA-256 of the canonical record."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "iat": int(issued_at.timestamp()),
        "vct": f"{VCT}{type_code}:{type_version}",
        "license": {"id": license_id, "version": version, "sha256": b64url(digest)},
        "status": {"status_list": {"idx": status_index, "uri": status_uri}},
    }
    times = {"nbf": not_before, "exp": expires_at}
    return claims | {name: int(at.timestamp()) for name, at in times.items() if at is not None}


def prepare(
    claims: Mapping[str, Any],
    disclosable: Mapping[str, Any],
    *,
    x5c: Sequence[bytes],
    salt: Callable[[], bytes] = lambda: secrets.token_bytes(16),
) -> Prepared:
    """Lay out the credential: every field of `disclosable` becomes a disclosure under `face`."""
    if RESERVED & (disclosable.keys() | claims.keys()):
        raise Invalid("_sd and ... cannot be names of fields")
    # RFC 9901 4.2.1: the salt should have 128 bits of entropy.
    disclosures = tuple(
        b64url(canonical([b64url(salt()), name, value])) for name, value in disclosable.items()
    )
    # RFC 9901 4.2.4.1: sorted, so that the order says nothing about which field is which.
    digests = sorted(_digest(disclosure) for disclosure in disclosures)
    payload = {**claims, "_sd_alg": "sha-256", DISCLOSED_OBJECT: {"_sd": digests}}
    return Prepared(jws.signing_input(TYP, payload, x5c), disclosures)


def assemble(prepared: Prepared, signature: bytes) -> str:
    """The credential as a file: `<JWT>~<disclosure>~…~` (RFC 9901 4); `signature` is raw R‖S."""
    return "~".join((jws.compact(prepared.tbs, signature), *prepared.disclosures, ""))


def present(credential: str, names: Iterable[str]) -> str:
    """Keep only the disclosures of these fields: what a holder hands over."""
    wanted = frozenset(names)
    jwt, *disclosures, binding = credential.split("~")
    kept = [text for text in disclosures if _parse_disclosure(text)[1] in wanted]
    return "~".join((jwt, *kept, binding))


def read(credential: str) -> Read:
    """Take a credential apart and put the disclosed fields in place (RFC 9901 7.1).

    Raises `BadToken` or `BadDisclosure`. The caller must still check the signature and its chain,
    the times and the status.
    """
    if len(credential) > LONGEST:
        raise BadToken("the credential is larger than any of ours")
    # RFC 9901 4: an SD-JWT ends in a tilde; what follows the last one is a key-binding token.
    jwt, *disclosures = credential.split("~")
    if not disclosures or disclosures.pop():
        raise BadToken("not an SD-JWT: it must end in a tilde, without key binding")
    token = jws.parse(jwt, typ=TYP, longest=LONGEST)
    # RFC 9901 7.1 (3.a): the hash algorithm must be known; ours names it always.
    if token.payload.get("_sd_alg") != "sha-256":
        raise BadToken("_sd_alg must be sha-256")
    unused = _by_digest(disclosures)
    names = tuple(str(_parse_disclosure(text)[1]) for text in disclosures)
    referenced: list[str] = []
    claims = _restored(token.payload, unused, referenced, depth=0)
    # RFC 9901 7.1 (5): a disclosure that nothing refers to was slipped in.
    if unused:
        raise BadDisclosure("a disclosure is referenced by nothing that was signed")
    return Read(token, claims, names, len(referenced) - len(names))


def _digest(disclosure: str) -> str:
    return b64url(sha256(disclosure.encode("ascii")))


def _by_digest(disclosures: Sequence[str]) -> dict[str, str]:
    if len(disclosures) > MOST_DISCLOSURES:
        raise BadDisclosure("more disclosures than any license has fields")
    try:
        found = {_digest(text): text for text in disclosures}
    except UnicodeEncodeError as err:
        raise BadDisclosure("a disclosure is not base64url") from err
    if len(found) != len(disclosures):
        raise BadDisclosure("the same disclosure is there twice")
    return found


def _parse_disclosure(text: str) -> tuple[str, str, Any]:
    try:
        parts = jws.json_value(unb64url(text))
    except Invalid as err:
        raise BadDisclosure("a disclosure is not base64url of JSON") from err
    # RFC 9901 7.1 (3.c.ii): inside an object, an array of exactly three; we never hide elements.
    match parts:
        case [str(salt), str(name), value] if name not in RESERVED:
            return salt, name, value
    raise BadDisclosure("a disclosure must be [salt, name, value]")


def _restored(
    value: Any, unused: dict[str, str], referenced: list[str], *, depth: int
) -> dict[str, Any]:
    """The object with its disclosures in place; takes what it uses out of `unused`."""
    if depth > 8:
        raise BadDisclosure("disclosures are nested deeper than any license")
    plain: dict[str, Any] = {}
    for name, inner in value.items():
        if name == "...":
            raise BadDisclosure("... cannot be the name of a claim")
        if name != "_sd" and not (name == "_sd_alg" and depth == 0):
            plain[name] = _inner(inner, unused, referenced, depth)
    digests = value.get("_sd", [])
    if not isinstance(digests, list) or not all(isinstance(each, str) for each in digests):
        raise BadDisclosure("_sd must be an array of digests")
    for digest in digests:
        # RFC 9901 7.1 (4): the same digest in two places is refused.
        if digest in referenced:
            raise BadDisclosure("the same digest is there twice")
        referenced.append(digest)
        if digest in unused:
            _, name, disclosed = _parse_disclosure(unused.pop(digest))
            # RFC 9901 7.1 (3.c.ii.3): a disclosure must not replace a claim that is in plain sight.
            if name in plain:
                raise BadDisclosure("a disclosure has the name of another claim beside it")
            plain[name] = _inner(disclosed, unused, referenced, depth)
    return plain


def _inner(value: Any, unused: dict[str, str], referenced: list[str], depth: int) -> Any:
    if isinstance(value, dict):
        return _restored(value, unused, referenced, depth=depth + 1)
    if isinstance(value, list):
        return [_inner(each, unused, referenced, depth + 1) for each in value]
    return value
