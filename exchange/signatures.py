"""Message signatures of calls and of answers: RFC 9421, in the profile of `message_signature`.

A call's signature is the proof that they asked, so it is kept with the ledger's entry: the bytes
that were signed and the signature, sealed under a key outside the database, because with them
somebody could try out whose number the digest of the body fits. The entry holds their hash.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.keys import PublicKey, TokenKey
from exchange.ledger.entries import Signed
from exchange.tokens import LEEWAY, PROOF_AGE, BadToken, Token
from schemas import message_signature
from schemas.canonical import sha256
from schemas.errors import Invalid
from schemas.message_signature import ALGORITHMS, ANSWER, CALL, Parameter, Signature

ALWAYS = frozenset({'"@method"', '"@target-uri"'})
WITH_BODY = ALWAYS | {'"content-type"', '"content-digest"'}
IF_THERE = ("idempotency-key",)  # a header that changes what a call means is signed
PARAMETERS = frozenset({"created", "keyid", "alg", "nonce", "tag"})
SALT = 16
NONCE = 12

_JWS = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as its signature covers it."""

    method: str
    uri: str
    headers: Mapping[str, str]


class Evidence:
    """Seals what was signed, and opens it for an auditor; the key never is in the database."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def sealed(self, proved: bytes) -> Signed:
        """Seal a proved signature. Salted: its hash tells nothing to whoever guesses."""
        told = os.urandom(SALT) + proved
        digest, nonce = sha256(told), os.urandom(NONCE)
        return Signed(digest, nonce + self._cipher.encrypt(nonce, told, digest))

    def opened(self, kept: Signed) -> bytes:
        """The signature base, and the signature in a last line. Raises `Invalid`."""
        nonce, sealed = kept.sealed[:NONCE], kept.sealed[NONCE:]
        try:
            told = self._cipher.decrypt(nonce, sealed, kept.digest)
        except InvalidTag as err:
            raise Invalid("the kept signature is not the one of this entry") from err
        if sha256(told) != kept.digest:
            raise Invalid("the kept signature is not the one of this entry")
        return told[SALT:]


def check_call(asked: Asked, proof: Token, at: int) -> bytes:
    """Prove a call's signature, and return what was signed with the signature in a last line.

    Raises `BadToken`. The caller still owes: that the body has the digest that was signed, and
    that the proof is new: the signature's nonce is the proof's, so one is used up with the other.
    """
    # 1. Two headers, each once, in the form of the profile.
    signature = _read(asked.headers)
    # 2. It covers the method, the address, and the content where there may be one.
    _check_covers(asked, signature)
    # 3. Its key is the one of the proof, which the token is bound to; its algorithm is the key's.
    _check_key(signature, proof.key)
    # 4. It was made for this proof, and now.
    _check_times(signature, proof, at)
    # 5. RFC 9421 section 3.2: the signature over the base, made anew from what came.
    told = message_signature.base(signature.components, _values(asked, signature), signature.said)
    algorithm = _JWS.get_algorithm_by_name(proof.key.alg)
    if not algorithm.verify(told, proof.key.key, signature.value):
        raise _bad("value")
    return told + b'\n"signature": ' + message_signature.field(signature.value).encode()


def check_kept(kept: bytes, key: PublicKey) -> str:
    """Prove a kept signature with the client's public key; return what was signed, as text.

    Raises `BadToken`. The caller still owes: that the key was the client's.
    """
    told, _, value = kept.rpartition(b'\n"signature": ')
    signature = message_signature.unfield(value.decode())
    if not _JWS.get_algorithm_by_name(key.alg).verify(told, key.key, signature):
        raise _bad("value")
    return told.decode()


def answer_headers(
    status: int, fields: Mapping[str, str], asked: Asked, own: TokenKey
) -> dict[str, str]:
    """The signature of an answer, bound to the signature of its call (RFC 9421 section 2.4).

    `fields` are the answer's content-digest and, where it has one, content-type.
    """
    label, _, value = asked.headers["signature"].partition("=")
    values = {
        '"@status"': str(status),
        **{f'"{name}"': value for name, value in fields.items()},
        '"@method";req': asked.method,
        '"@target-uri";req': asked.uri,
        f'"signature";req;key="{label}"': value,
    }
    parameters: dict[str, Parameter] = {
        "created": int(time.time()),
        "keyid": own.public.kid,
        "alg": ALGORITHMS[own.public.alg],
        "tag": ANSWER,
    }
    told = message_signature.said(tuple(values), parameters)
    signature = own.private.sign(message_signature.base(tuple(values), values, told))
    return message_signature.headers(told, signature)


def _read(headers: Mapping[str, str]) -> Signature:
    try:
        return message_signature.read(headers["signature-input"], headers["signature"])
    except KeyError:
        raise _bad("header") from None
    except Invalid as err:
        raise _bad("form") from err


def _check_covers(asked: Asked, signature: Signature) -> None:
    must = ALWAYS if asked.method in ("GET", "HEAD") else WITH_BODY
    must |= {f'"{name}"' for name in IF_THERE if name in asked.headers}
    if not must <= set(signature.components) or set(signature.parameters) != PARAMETERS:
        raise _bad("coverage")
    if signature.parameters["tag"] != CALL:
        raise _bad("tag")


def _check_key(signature: Signature, key: PublicKey) -> None:
    told = signature.parameters
    if (told["keyid"], told["alg"]) != (key.kid, ALGORITHMS[key.alg]):
        raise _bad("key")


def _check_times(signature: Signature, proof: Token, at: int) -> None:
    created = signature.parameters["created"]
    if signature.parameters["nonce"] != proof.text("jti"):
        raise _bad("nonce")
    if not isinstance(created, int) or not at - PROOF_AGE - LEEWAY < created <= at + LEEWAY:
        raise _bad("created")


def _values(asked: Asked, signature: Signature) -> dict[str, str]:
    derived = {'"@method"': asked.method, '"@target-uri"': asked.uri}
    try:
        return {
            each: derived[each] if each in derived else asked.headers[each.strip('"')]
            for each in signature.components
        }
    except KeyError:
        raise _bad("coverage") from None


def _bad(check: str) -> BadToken:
    message = f"the message signature fails its check of {check}"
    return BadToken(message, zh="报文签名未通过验证", rule=f"signature-{check}")
