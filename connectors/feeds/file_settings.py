"""How delivered files are read: the settings of every file feed."""

from __future__ import annotations

from typing import ClassVar, Literal

from connectors.feeds.feed_settings import SAME, EnvName, FeedSettings, Operations


class FileDrop(FeedSettings):
    """A folder where the department puts CSV files, each with its control file."""

    opened_by: ClassVar[str] = "connectors.feeds.file_drop:DropFeed"

    kind: Literal["file_drop"]
    folder: EnvName
    prefix: str
    encoding: str = "gb18030"
    operation: str
    operations: Operations = SAME


FileSettings = FileDrop
