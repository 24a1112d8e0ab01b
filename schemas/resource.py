"""A resource as the catalogue publishes it: the metadata of a government data directory.

The members are those of 《政务信息资源目录编制指南》: category, name, provider, summary, format,
items with their share properties, update cycle. Nouns and their JSON; nothing is judged here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from schemas.canonical import canonical, sha256
from schemas.grant import Form


class Cycle(StrEnum):
    """更新周期, with the code that directories write."""

    IRREGULAR = "1"
    REAL_TIME = "2"
    DAILY = "3"
    WEEKLY = "4"
    MONTHLY = "5"
    QUARTERLY = "6"
    HALF_YEARLY = "7"
    YEARLY = "8"
    OTHER = "9"


class Origin(StrEnum):
    """What stands behind a resource."""

    DATASET = "dataset"
    REGISTER = "register"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Information:
    """One 信息项: what it is, how closely it is held, and the forms in which it may be given."""

    name: str
    label_zh: str
    short_name: str
    type: str
    classification: str
    share_class: str
    withheld_by: str
    condition: str
    forms: tuple[Form, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """One version of one resource."""

    code: str
    version: str
    name_zh: str
    summary: str
    category: str
    provider: str
    provider_code: str
    system: str
    format: str
    origin: Origin
    cycle: Cycle | None
    freshness_seconds: int
    open: bool
    open_condition: str
    related: tuple[str, ...]
    fields: tuple[Information, ...]

    @property
    def share_class(self) -> str:
        """The strictest of its fields."""
        classes = {each.share_class for each in self.fields}
        return next((cls for cls in STRICTEST_FIRST if cls in classes), "withheld")

    def field(self, name: str) -> Information | None:
        """The 信息项 of that name."""
        return next((each for each in self.fields if each.name == name), None)

    def text(self) -> str:
        """Its canonical JSON (RFC 8785): what is published, and what the digest is of."""
        return canonical(asdict(self)).decode()

    def digest(self) -> bytes:
        """SHA-256 of the canonical JSON."""
        return sha256(self.text().encode())


STRICTEST_FIRST = ("withheld", "conditional", "unconditional")


def read(said: dict[str, Any]) -> Metadata:
    """The metadata that a JSON value holds."""
    fields = tuple(
        Information(**{**each, "forms": tuple(map(Form, each["forms"]))}) for each in said["fields"]
    )
    cycle = Cycle(said["cycle"]) if said["cycle"] else None
    return Metadata(
        **{
            **said,
            "fields": fields,
            "related": tuple(said["related"]),
            "origin": Origin(said["origin"]),
            "cycle": cycle,
        }
    )
