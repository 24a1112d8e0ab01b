"""Receipts: what a client keeps of every call, to show later what it asked and what was answered.

Part of the SDK. A receipt is one line of JSON in a file a day, `receipts/2026-11-22.jsonl`: the
bytes that the client signed, the bytes that the hub signed, and both signatures. The answer itself
is not kept, only its digest; who asked may keep it where the case's papers are.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from connectors.client_keys import PublicKey, is_signed
from connectors.client_signing import AnswerNotVerified, Came, Sent
from schemas import message_signature
from schemas.errors import Invalid, NotFound


@dataclass(frozen=True, slots=True)
class Receipt:
    """One call: its receipt in the hub's ledger, and what both sides signed."""

    receipt: str
    at: str
    status: int
    asked: str
    asked_signature: str
    answered: str
    answered_signature: str


class Receipts:
    """A folder of receipts, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def keep(self, sent: Sent, came: Came, told: bytes, at: float) -> Receipt:
        """Keep what was signed for one call whose answer was verified."""
        moment = datetime.fromtimestamp(at, UTC)
        made = Receipt(
            receipt=_named(came.content),
            at=moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
            status=came.status,
            asked=sent.told.decode(),
            asked_signature=sent.headers["signature"],
            answered=told.decode(),
            answered_signature=came.headers["signature"],
        )
        line = json.dumps(asdict(made), ensure_ascii=False) + "\n"
        path = self.folder / f"{moment:%Y-%m-%d}.jsonl"
        with self._lock, os.fdopen(_appending(path), "ab", buffering=0) as file:
            file.write(line.encode())
        return made

    def all(self) -> Iterator[Receipt]:
        """Every receipt that is kept, the oldest first."""
        for path in sorted(self.folder.glob("*.jsonl")):
            for line in path.read_text("utf-8").splitlines():
                yield Receipt(**json.loads(line))

    def find(self, receipt: str) -> Receipt:
        """The receipt of that name. Raises `NotFound`."""
        for each in self.all():
            if each.receipt == receipt:
                return each
        raise NotFound("no such receipt is kept here")


def check(receipt: Receipt, ours: PublicKey, hub: Mapping[str, PublicKey]) -> None:
    """Prove a receipt with the client's public key and the hub's, offline.

    Raises `AnswerNotVerified`. The caller still owes: that the keys were theirs at that time.
    """
    try:
        _check_signed(receipt.asked, receipt.asked_signature, {"": ours})
        _check_signed(receipt.answered, receipt.answered_signature, hub)
    except (Invalid, ValueError) as err:
        raise AnswerNotVerified("the receipt cannot be read") from err
    # The answer repeats the signature of the call: the two belong together.
    bound = f'"signature";req;key="{message_signature.LABEL}": '
    repeated = receipt.asked_signature.partition("=")[2]
    if bound + repeated not in receipt.answered.split("\n"):
        raise AnswerNotVerified("the receipt's answer is to another call")


def _check_signed(told: str, signature: str, keys: Mapping[str, PublicKey]) -> None:
    said = told.rpartition('\n"@signature-params": ')[2]
    label = signature.partition("=")[0]
    read = message_signature.read(f"{label}={said}", signature)
    key = keys.get("") or keys.get(str(read.parameters.get("keyid")))
    if key is None or not is_signed(key, told.encode(), read.value):
        raise AnswerNotVerified("the receipt does not bear the signatures that it says")


def _named(content: bytes) -> str:
    try:
        said = json.loads(content)
    except ValueError:
        return ""
    return str(said.get("receipt", "")) if isinstance(said, dict) else ""


def _appending(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
