"""What every feed speaks: windows, totals, and the two ways in which a source can fail.

A feed reads and reports. It does not judge rows, repair them or remember what was loaded: the
cursor belongs to the batch ledger, which hands it back at the next `plan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from schemas.errors import Invalid, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

OPERATION = "_op"
"""Column of a changes window: I, U or D."""

SEQUENCE = "_seq"
"""Column of a changes window: int64, rising in the order in which things happened."""

Operation = Literal["I", "U", "D"]


class TransientFailure(Unavailable):
    """The source does not answer now; the same window may be read later."""

    code = "source-unavailable"


class PermanentFailure(Invalid):
    """The source sent something that will stay wrong until its owner repairs it."""

    code = "source-wrong"


@dataclass(frozen=True)
class Window:
    """A stretch of a source that is read as one batch; only its feed understands the cursors."""

    mode: Literal["snapshot", "changes"]
    start: str | None
    end: str


@dataclass(frozen=True)
class Totals:
    """What the source says that a window holds, computed by its own means.

    `buckets` are 256 pairs (count, sum). A row's digest is the MD5 of its source columns
    (`Manifest.source_columns`, in that order) as UTF-8 text joined by U+001F, an absent value being
    U+001E; the first byte is the bucket and bytes 1 to 7, big-endian, are added up in it.
    """

    rows: int
    digest: str | None = None
    buckets: tuple[tuple[int, int], ...] | None = None


class Feed(Protocol):
    """A source of one dataset. One object serves one pull; `close` it afterwards."""

    def plan(self, cursor: str | None) -> Window | None:
        """What to read after `cursor` (None: from nothing); None when there is nothing new."""

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The window's rows: source columns as text, absent as null; changes add `_op`, `_seq`."""

    def totals(self, window: Window) -> Totals:
        """The source's own count and checksum of the window.

        It may be asked from another thread while the window is being read.
        """

    def sample(self, limit: int) -> pa.Table:
        """The source's first rows as `read` would give them, without marks; nothing is kept."""

    def notices(self) -> Mapping[str, int]:
        """What was met on the way and survived, counted by kind, such as `http_429`."""

    def close(self) -> None:
        """Let go of the source."""
