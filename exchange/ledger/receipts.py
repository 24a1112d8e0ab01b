"""A receipt's proof: the entry, its place, its path, and the signed head above it.

`check` needs nothing but the proof and a policy or key: no hub, no database, no network.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import Invalid
from schemas.merkle import ProofFailed, leaf_hash, verify_inclusion
from schemas.trust_policy import Policy, judged, of_log

LONGEST_PROOF = 1 << 20
LONGEST_PATH = 64


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything that is needed to prove one entry, but the public key."""

    entry: str
    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def document(self) -> dict[str, object]:
        """The proof as JSON; `entry` is a text, because its exact bytes are what was hashed."""
        return {
            "entry": self.entry,
            "index": self.index,
            "path": [base64.b64encode(step).decode() for step in self.path],
            "checkpoint": self.checkpoint,
        }


@dataclass(frozen=True, slots=True)
class Proved:
    """What a proof proved: this entry was number `index` of a signed ledger of `size` entries."""

    entry: Mapping[str, object]
    index: int
    size: int
    origin: str
    cosigned: Mapping[str, int]


def read(raw: bytes) -> Proof:
    """Read a proof file. Raises `Invalid`."""
    if len(raw) > LONGEST_PROOF:
        raise Invalid("the file is too long for a proof")
    try:
        value = json.loads(raw)
        path = tuple(base64.b64decode(step, validate=True) for step in value["path"])
        proof = Proof(value["entry"], value["index"], path, value["checkpoint"])
    except (ValueError, TypeError, KeyError, RecursionError) as err:
        raise Invalid("the file is not a proof of the ledger") from err
    shaped = isinstance(proof.entry, str) and isinstance(proof.checkpoint, str)
    if not shaped or type(proof.index) is not int or len(proof.path) > LONGEST_PATH:
        raise Invalid("the file is not a proof of the ledger")
    return proof


def check(proof: Proof, trusted: Policy | str) -> Proved:
    """Prove the entry with nothing but the ledger's public key, or a policy with its witnesses.

    Raises `Invalid` or `ProofFailed`. The caller still owes: that key and policy are the ledger's,
    got from somewhere it trusts, and that the entry is about what it asked.
    """
    policy = of_log(trusted) if isinstance(trusted, str) else trusted
    # 1. C2SP signed-note and tlog-policy: the checkpoint is signed, and cosigned by a quorum.
    believed = judged(policy, proof.checkpoint)
    # 2. RFC 9162 section 2.1.3.2: the entry's leaf is below that root, at that place.
    body = _utf8(proof.entry)
    head = believed.head
    verify_inclusion(leaf_hash(body), proof.index, head.size, proof.path, head.root)
    # 3. The entry has one meaning: its bytes are canonical.
    return Proved(meaning(body), proof.index, head.size, head.origin, believed.cosigned)


def meaning(body: bytes) -> dict[str, object]:
    """What an entry says. Raises `ProofFailed` unless its bytes are the canonical ones.

    Names in an entry are ASCII and its numbers are small integers, so that RFC 8785 is sorted
    JSON without blanks, in UTF-8.
    """
    try:
        entry = json.loads(body)
        again = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError) as err:
        raise ProofFailed("the entry is not JSON") from err
    if not isinstance(entry, dict) or _utf8(again) != body:
        raise ProofFailed("the entry is not canonical JSON")
    return entry


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeError:
        raise ProofFailed("the entry is not Unicode") from None
