"""The last head that was signed of each tree, on disk before its signature leaves the process."""

from __future__ import annotations

import json
import os
from pathlib import Path

from schemas.checkpoint import Checkpoint
from schemas.errors import Invalid


class Heads:
    """A small file in the signer's own folder. A head is remembered durably, or not signed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = self._read()

    def last(self, tree: str) -> Checkpoint | None:
        """The last head signed of `tree`, if there is one."""
        return self._held.get(tree)

    def remember(self, tree: str, head: Checkpoint) -> None:
        """Write `head` down so that it survives power loss; only then may it be signed."""
        held = {**self._held, tree: head}
        told = {
            name: {"origin": each.origin, "size": each.size, "root": each.root.hex()}
            for name, each in held.items()
        }
        fresh = self._path.with_name(self._path.name + ".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(told, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._held = held

    def _read(self) -> dict[str, Checkpoint]:
        if not self._path.exists():
            return {}
        try:
            told = json.loads(self._path.read_text())
            return {
                tree: Checkpoint(each["origin"], each["size"], bytes.fromhex(each["root"]))
                for tree, each in told.items()
            }
        except (ValueError, KeyError, TypeError) as err:
            # Forgetting would let a rewritten log be signed: a person must look.
            raise Invalid(f"{self._path} is damaged; restore it from a backup") from err
