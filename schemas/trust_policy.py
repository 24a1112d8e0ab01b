"""Whose word makes a checkpoint worth believing: a log's, and that of a quorum of its witnesses.

The file is C2SP's (https://c2sp.org/tlog-policy):

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>…
    quorum <name>|none

Reading it asks nobody anything; `judged` does no more than check signatures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from schemas.checkpoint import (
    COSIGNATURE,
    ED25519,
    BadCheckpoint,
    Checkpoint,
    Verifier,
    parse,
    parted,
    verifier,
    verify_ed25519,
)
from schemas.cosignature import cosigned_at
from schemas.errors import Invalid

NO_QUORUM = "none"
MOST_LINES = 1000


class BadPolicy(Invalid):
    """The policy file cannot be read; the message names the line."""

    code = "bad-policy"


@dataclass(frozen=True)
class Witness:
    """A witness by its name in the policy; `url` is where checkpoints are submitted."""

    name: str
    key: Verifier
    url: str = ""


@dataclass(frozen=True)
class Policy:
    """Logs that may speak, witnesses that may confirm, and how many of them must."""

    logs: tuple[Verifier, ...] = ()
    witnesses: Mapping[str, Witness] = field(default_factory=dict)
    groups: Mapping[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str | None = None

    def satisfied(self, name: str, cosigned: Mapping[str, int]) -> bool:
        """Whether the named witness, or enough of the named group, cosigned."""
        if name == NO_QUORUM:
            return True
        if name not in self.groups:
            return name in cosigned
        needed, members = self.groups[name]
        return needed <= sum(self.satisfied(member, cosigned) for member in members)


@dataclass(frozen=True)
class Judged:
    """A checkpoint that satisfies a policy, and when which witness cosigned it."""

    head: Checkpoint
    cosigned: Mapping[str, int]


def of_log(key: str) -> Policy:
    """The policy that believes one log's key alone. Raises `BadCheckpoint`."""
    return Policy((_key(key, ED25519),), quorum=NO_QUORUM)


def judged(policy: Policy, note: bytes | str) -> Judged:
    """Prove that a signed checkpoint satisfies the policy. Raises `BadCheckpoint`.

    The caller still owes: that the tree is the one it asked about and continues what it saw.
    """
    # 1. The note is a checkpoint and ends in signature lines.
    text, signatures = parted(note)
    head = parse(text)
    # 2. tlog-checkpoint: a log's key is named like its origin; one of them signed the text.
    logs = [log for log in policy.logs if log.name == head.origin and log.signed(signatures)]
    if not logs:
        raise BadCheckpoint("the expected key has not signed this checkpoint")
    for log in logs:
        for signature in log.signed(signatures):
            verify_ed25519(log.public_key, signature, text)
    # 3. tlog-policy: enough of the witnesses cosigned it.
    asked = {name: cosigned_at(text, signatures, w.key) for name, w in policy.witnesses.items()}
    cosigned = {name: at for name, at in asked.items() if at is not None}
    if not policy.satisfied(policy.quorum or NO_QUORUM, cosigned):
        raise BadCheckpoint(f"too few witnesses cosigned this checkpoint: {len(cosigned)}")
    return Judged(head, cosigned)


def parse_policy(text: bytes | str) -> Policy:
    """Read a policy file. Raises `BadPolicy`."""
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
    except UnicodeError:
        raise BadPolicy("a policy is UTF-8 text") from None
    policy = Policy()
    for number, words in _lines(decoded):
        try:
            policy = WORDS[words[0]](policy, *words[1:])
        except KeyError:
            raise BadPolicy(f"line {number}: a policy has no {words[0]!r} line") from None
        except TypeError:
            raise BadPolicy(f"line {number}: too few or too many words") from None
        except Invalid as err:
            raise BadPolicy(f"line {number}: {err.message}") from err
    if policy.quorum is None:
        raise BadPolicy("a policy says its quorum; `quorum none` where there is no witness")
    return policy


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    lines = text.split("\n")
    if len(lines) > MOST_LINES or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        raise BadPolicy("a policy is short and has no control characters but tab and newline")
    for number, line in enumerate(lines, start=1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if words and not words[0].startswith("#"):
            yield number, words


def _log(policy: Policy, key: str, url: str = "") -> Policy:
    log = _key(key, ED25519)
    if log.public_key in [each.public_key for each in policy.logs]:
        raise BadPolicy("the log stands twice")
    return Policy((*policy.logs, log), policy.witnesses, policy.groups, policy.quorum)


def _witness(policy: Policy, name: str, key: str, url: str = "") -> Policy:
    witness = Witness(_new(policy, name), _key(key, COSIGNATURE), url)
    if witness.key.public_key in [each.key.public_key for each in policy.witnesses.values()]:
        raise BadPolicy("the witness stands twice")
    known = {**policy.witnesses, name: witness}
    return Policy(policy.logs, known, policy.groups, policy.quorum)


def _group(policy: Policy, name: str, threshold: str, *members: str) -> Policy:
    taken = [member for _, group in policy.groups.values() for member in group]
    if not members or len(set(members)) != len(members) or set(members) & set(taken):
        raise BadPolicy("a group has members, and each name is a member once")
    for member in members:
        _known(policy, member)
    needed = {"any": 1, "all": len(members)}.get(threshold) or _number(threshold)
    if not 1 <= needed <= len(members):
        raise BadPolicy("a group's threshold is all, any or a number of its members")
    groups = {**policy.groups, _new(policy, name): (needed, members)}
    return Policy(policy.logs, policy.witnesses, groups, policy.quorum)


def _quorum(policy: Policy, name: str) -> Policy:
    if policy.quorum is not None:
        raise BadPolicy("the quorum stands twice")
    known = name if name == NO_QUORUM else _known(policy, name)
    return Policy(policy.logs, policy.witnesses, policy.groups, known)


WORDS: Mapping[str, Callable[..., Policy]] = {
    "log": _log,
    "witness": _witness,
    "group": _group,
    "quorum": _quorum,
}


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,3}", text) else 0


def _new(policy: Policy, name: str) -> str:
    if name == NO_QUORUM or name in policy.witnesses or name in policy.groups:
        raise BadPolicy("the name stands for something else already")
    return name


def _known(policy: Policy, name: str) -> str:
    if name not in policy.witnesses and name not in policy.groups:
        raise BadPolicy("a name is used before its line")
    return name


def _key(text: str, kind: bytes) -> Verifier:
    found = verifier(text)
    if found.kind != kind:
        raise BadCheckpoint("a log's key has signature type 1, a witness's has type 4")
    return found
