"""Who may speak to the land registry: secrets that stay in its folder."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

_CREDENTIALS = "credentials.json"


@dataclass(frozen=True)
class Access:
    """What the registry gave to us (a client) and to its own clerks (a token)."""

    client_id: str
    client_secret: str
    clerk_token: str
    cursor_key: str

    @classmethod
    def made(cls) -> Access:
        """Fresh secrets."""
        return cls("yizhan", *(secrets.token_urlsafe(24) for _ in range(3)))

    @classmethod
    def read(cls, folder: Path) -> Access:
        """Those that the registry in `folder` uses."""
        return cls(**json.loads((folder / _CREDENTIALS).read_text()))

    def write(self, folder: Path) -> None:
        """Keep them, for this user's eyes only."""
        path = folder / _CREDENTIALS
        path.touch(mode=0o600)
        path.write_text(json.dumps(vars(self)))
