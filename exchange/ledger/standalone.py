"""The stand-alone verifier of the ledger: whoever holds a public key can check what we say.

    volumes   an export or archive of the ledger: every entry, the tree, the signed heads
    receipt   the proof of one call, kept by whoever made it
    growth    that a newer checkpoint only adds to an older one, from the published tiles

Exit status 0: proved. 1: not what was signed. 2: the question could not be read.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from exchange.ledger.continuity import whole
from exchange.ledger.receipts import check, meaning, read
from schemas.errors import Invalid
from schemas.tiles import Tree
from schemas.trust_policy import Judged, Policy, judged, of_log, parse_policy

PATIENCE = 30
LARGEST_TILE = 8192


def main(arguments: list[str] | None = None) -> int:
    """Check what the command line names, say what was proved."""
    chosen = _parser().parse_args(arguments)
    try:
        said = str(chosen.run(chosen, _policy(chosen)))
    except Invalid as err:
        sys.stderr.write(f"NOT PROVED {err.code}: {err.message}\n")
        return 1
    except OSError as err:
        sys.stderr.write(f"cannot read: {err.strerror or err}\n")
        return 2
    sys.stdout.write(said)
    return 0


def _volumes(chosen: argparse.Namespace, policy: Policy) -> str:
    notes = [path.read_bytes() for path in chosen.head]
    found = whole(chosen.volumes, policy, notes, _canonical if chosen.canonical else None)
    return (
        f"PROVED entries {found.first} to {found.end - 1} are what was signed, none is missing\n"
        f"root {found.root.hex()} of {found.newest.head.origin}; heads compared: {found.heads}\n"
        f"{_by_witnesses(found.newest)}"
    )


def _canonical(_: int, entry: bytes) -> None:
    meaning(entry)


def _receipt(chosen: argparse.Namespace, policy: Policy) -> str:
    proved = check(read(chosen.receipt.read_bytes()), policy)
    entry = json.dumps(proved.entry, ensure_ascii=False, indent=2, sort_keys=True)
    where = f"PROVED entry {proved.index} of {proved.size} in {proved.origin}\n{entry}\n"
    return where + _cosigned(dict(proved.cosigned))


def _growth(chosen: argparse.Namespace, policy: Policy) -> str:
    older, newer = (judged(policy, path.read_bytes()) for path in (chosen.older, chosen.newer))
    Tree(newer.head, lambda path: _fetched(chosen.tiles, path)).continues(older.head)
    return (
        f"PROVED {newer.head.size} entries continue {older.head.size} of {newer.head.origin}\n"
        f"{_by_witnesses(newer)}"
    )


def _fetched(base: str, path: str) -> bytes:
    if not base.startswith(("http://", "https://")):
        return (Path(base) / path).read_bytes()
    with urllib.request.urlopen(f"{base.rstrip('/')}/{path}", timeout=PATIENCE) as answer:  # noqa: S310 - http and https alone
        return bytes(answer.read(LARGEST_TILE + 1))


def _by_witnesses(believed: Judged) -> str:
    return _cosigned(dict(believed.cosigned))


def _cosigned(times: dict[str, int]) -> str:
    said = [f"cosigned by {name} at {_moment(at)}\n" for name, at in sorted(times.items())]
    return "".join(said) or "no witness was asked for: only the ledger's own key speaks\n"


def _moment(at: int) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"second {at}"


def _policy(chosen: argparse.Namespace) -> Policy:
    if chosen.policy:
        return parse_policy(chosen.policy.read_bytes())
    return of_log(chosen.key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check the ledger of calls with a public key.")
    deeds = parser.add_subparsers(required=True, metavar="volumes | receipt | growth")
    volumes = deeds.add_parser("volumes", help="recompute an export or an archive")
    volumes.add_argument("volumes", nargs="+", type=Path, help="volumes, or folders of them")
    volumes.add_argument("--head", action="append", default=[], type=Path, metavar="CHECKPOINT")
    volumes.add_argument("--canonical", action="store_true", help="check each entry's JSON too")
    volumes.set_defaults(run=_volumes)
    receipt = deeds.add_parser("receipt", help="check the proof of one call")
    receipt.add_argument("receipt", type=Path)
    receipt.set_defaults(run=_receipt)
    growth = deeds.add_parser("growth", help="check that a checkpoint continues an older one")
    growth.add_argument("older", type=Path)
    growth.add_argument("newer", type=Path)
    growth.add_argument("--tiles", required=True, help="address or folder of the tiles")
    growth.set_defaults(run=_growth)
    for deed in (volumes, receipt, growth):
        trusted = deed.add_mutually_exclusive_group(required=True)
        trusted.add_argument("--key", help="the ledger's public key (vkey)")
        trusted.add_argument("--policy", type=Path, help="keys and witnesses (C2SP tlog-policy)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
