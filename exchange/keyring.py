"""The hub's own signing keys over time, so that one follows another without a refused call.

A key is a file of the secrets folder: `answer.key` signs from the beginning,
`answer.key.1795348800` from that second on. A key that is to sign is made before its time, and
every process of the hub looks for new ones every few seconds; one that signed until a moment ago is
still believed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from exchange.keys import TokenKey, token_key
from exchange.settings import Settings
from schemas.errors import Invalid

TOKENS = "token.key"
ANSWERS = "answer.key"
NAMES = (TOKENS, ANSWERS)
NOTICE = 60  # seconds that a new key of tokens is known to every process before it signs
BELIEVED = {TOKENS: 330, ANSWERS: 86_400}  # seconds after its last signature


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """Keys of one purpose, each with the moment from which it signs, the earliest first."""

    keys: tuple[tuple[int, TokenKey], ...]
    believed: int = 0

    @classmethod
    def of(cls, key: TokenKey) -> Ring:
        """A ring of one key."""
        return cls(((0, key),))

    def signing(self, at: float) -> TokenKey:
        """The key that signs at that moment."""
        return [key for start, key in self.keys if start <= at][-1]

    def known(self, at: float) -> tuple[TokenKey, ...]:
        """The keys that sign now, will, or did until a moment ago."""
        ends = [start for start, _ in self.keys[1:]] + [float("inf")]
        return tuple(
            key for (_, key), end in zip(self.keys, ends, strict=True) if at < end + self.believed
        )

    def named(self, kid: object, at: float) -> TokenKey | None:
        """The key of that name, if it is still believed."""
        return next((key for key in self.known(at) if key.public.kid == kid), None)


class Keyring:
    """A ring that is read again when its files changed."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._files: tuple[str, ...] = ()
        self.ring = Ring(())
        self.refresh()

    def refresh(self) -> None:
        """Look for keys that were made or taken away."""
        self._settings.secret(self._name)
        files = tuple(sorted(path.name for path in _files(self._settings, self._name)))
        if files != self._files:
            self.ring = read(self._settings, self._name)
            self._files = files


def read(settings: Settings, name: str) -> Ring:
    """The ring of that name as its files say; the first key is made when there is none."""
    settings.secret(name)
    keys = [
        (start_of(path), token_key(settings.secret(path.name))) for path in _files(settings, name)
    ]
    return Ring(tuple(sorted(keys, key=lambda each: each[0])), BELIEVED[name])


def follow(settings: Settings, name: str, seconds: int, at: float | None = None) -> tuple[str, int]:
    """Make the next key, which signs in so many seconds; return its name and when.

    Raises `Invalid` for a notice so short that a process or a client could not know it in time.
    """
    if name not in NAMES:
        raise Invalid(f"the hub has no ring {name}; it has {', '.join(NAMES)}")
    if seconds < NOTICE:
        raise Invalid(f"a key must be known {NOTICE} seconds before it signs")
    start = int((time.time() if at is None else at) + seconds)
    made = token_key(settings.secret(f"{name}.{start}"))
    return made.public.kid, start


def hub_keys(settings: Settings) -> list[dict[str, str]]:
    """What a client pins: the public keys that the hub signs answers with, now and next."""
    known = read(settings, ANSWERS).known(time.time())
    return [dict(key.public.jwk) for key in known]


def start_of(path: Path) -> int:
    """The moment from which the key in a file signs."""
    told = path.name.partition(".key")[2].lstrip(".")
    return int(told) if told else 0


def _files(settings: Settings, name: str) -> list[Path]:
    found = settings.secrets.glob(f"{name}*")
    return [path for path in found if path.name == name or path.suffix[1:].isdigit()]
