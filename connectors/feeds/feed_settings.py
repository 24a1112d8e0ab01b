"""What the settings of every kind of feed have in common.

A kind of feed is a model that names its `kind` and the class that opens it, and stands in one of
the unions that `manifest.py` puts together: `SqlSettings`, `FileSettings`, `HttpSettings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from connectors.feeds.source import Operation

EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
Every = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*[smhd]$")]
Operations = Mapping[str, Operation]

SAME: Operations = {"I": "I", "U": "U", "D": "D"}

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def interval(every: str) -> timedelta:
    """The time that an `Every`, such as 15s, 1m, 2h or 1d, says."""
    return timedelta(seconds=int(every[:-1]) * _SECONDS[every[-1]])


class Strict(BaseModel):
    """A part of a manifest: no word that we do not know, and no change once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FeedSettings(Strict):
    """How to reach one source. Secrets and addresses are names of variables (`EnvName`)."""

    opened_by: ClassVar[str]
    """`package.module:Class` of the feed, which has `opened(manifest, secrets)`."""

    any_time: ClassVar[bool] = False
    """Whether `plan(None)` may be asked again and again for all that the source holds now."""
