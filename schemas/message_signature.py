"""HTTP message signatures in one profile of RFC 9421, with RFC 9530 digests: what both sides share.

    Content-Digest: sha-256=:…:
    Signature-Input: yizhan=("@method" "@target-uri" "content-type" "content-digest");created=…
                     ;keyid="…";alg="…";nonce="…";tag="yizhan-call"
    Signature: yizhan=:…:

One signature a message, every component once, every parameter once: what the profile does not need
is not read. Here bytes are built and read; keys are the business of whoever signs or verifies.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from schemas.errors import Invalid

LABEL = "yizhan"
CALL = "yizhan-call"  # the tag of a call's signature
ANSWER = "yizhan-answer"  # the tag of an answer's
# RFC 9421 section 6.2.2: its names of the algorithms that a JWK here may have.
ALGORITHMS: Mapping[str, str] = {"ES256": "ecdsa-p256-sha256", "EdDSA": "ed25519"}

LONGEST = 1024
_ITEM = r'"@?[a-z0-9-]+"(?:;req)?(?:;key="[a-z0-9_.-]+")?'
_PARAMETER = r';[a-z]+=(?:[0-9]{1,12}|"[!#-\[\]-~]{1,128}")'
_INPUT = re.compile(rf"([a-z][a-z0-9_.-]{{0,31}})=(\(({_ITEM}(?: {_ITEM})*)\)((?:{_PARAMETER})+))")
_EACH = re.compile(r';([a-z]+)=(?:([0-9]+)|"([^"]*)")')
_VALUE = re.compile(r"([a-z][a-z0-9_.-]{0,31})=(:[A-Za-z0-9+/]{1,512}={0,2}:)")

Parameter = str | int


class BadMessageSignature(Invalid):
    """The headers of a signature are not in the form of the profile."""

    code = "bad-message-signature"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature as two headers say it: what it covers, its parameters, its bytes. Not proved."""

    label: str
    components: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    said: str
    value: bytes


def content_digest(content: bytes) -> str:
    """The Content-Digest of a message's content (RFC 9530 section 2)."""
    return f"sha-256=:{base64.b64encode(sha256(content).digest()).decode()}:"


def said(components: Sequence[str], parameters: Mapping[str, Parameter]) -> str:
    """The signature's parameters as a text (RFC 9421 section 2.3)."""
    listed = "".join(
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        for name, value in parameters.items()
    )
    return f"({' '.join(components)}){listed}"


def base(components: Sequence[str], values: Mapping[str, str], told: str) -> bytes:
    """The bytes that are signed (RFC 9421 section 2.5); `values` holds one for each component."""
    lines = [f"{component}: {values[component]}" for component in components]
    return "\n".join((*lines, f'"@signature-params": {told}')).encode()


def headers(told: str, value: bytes, label: str = LABEL) -> dict[str, str]:
    """The two headers of a signature (RFC 9421 sections 4.1 and 4.2)."""
    return {"signature-input": f"{label}={told}", "signature": f"{label}={field(value)}"}


def field(value: bytes) -> str:
    """Bytes as a structured field writes them (RFC 8941 section 3.3.5)."""
    return f":{base64.b64encode(value).decode()}:"


def read(signature_input: str, signature: str) -> Signature:
    """Read the two headers of one signature. Raises `BadMessageSignature`."""
    if len(signature_input) > LONGEST or len(signature) > LONGEST:
        raise _bad("too long")
    parted, valued = _INPUT.fullmatch(signature_input), _VALUE.fullmatch(signature)
    if parted is None or valued is None or parted[1] != valued[1]:
        raise _bad("not in the form of one signature")
    components = tuple(parted[3].split(" "))
    pairs = [(name, int(n) if n else text) for name, n, text in _EACH.findall(parted[4])]
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or len(set(components)) != len(components):
        raise _bad("a component or a parameter stands twice")
    return Signature(parted[1], components, parameters, parted[2], unfield(valued[2]))


def unfield(text: str) -> bytes:
    """The bytes of the one spelling of a byte sequence. Raises `BadMessageSignature`."""
    try:
        value = base64.b64decode(text[1:-1], validate=True)
    except (binascii.Error, ValueError):
        raise _bad("not base64") from None
    if field(value) != text:
        raise _bad("not canonical base64")
    return value


def _bad(what: str) -> BadMessageSignature:
    return BadMessageSignature(f"the message signature is {what}", zh="报文签名格式不正确")
