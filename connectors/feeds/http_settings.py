"""How interfaces over HTTP are read: the settings of every HTTP feed.

An answer is a JSON document. A *path* names a place in it: members joined by dots, a number for a
place in a list, `.` for the document itself (`data.list`, `page.total`, `.`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import available_timezones

from pydantic import Field, StringConstraints, field_validator, model_validator

from connectors.feeds.feed_settings import SAME, EnvName, FeedSettings, Operations, Strict

Path = Annotated[str, StringConstraints(pattern=r"^(\.|[^.\s]+(\.[^.\s]+)*)$")]
UrlPath = Annotated[str, StringConstraints(pattern=r"^/[^?#\s]*$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Moment = Annotated[str, StringConstraints(pattern=r"^(iso|epoch_s|epoch_ms|.*%.*)$")]
Rows = Annotated[int, Field(ge=1, le=100_000)]
Reader = Annotated[str, StringConstraints(pattern=r"^\w+(\.\w+)*:\w+$")]


class Wire(FeedSettings):
    """How to speak with a service over HTTP, whatever it says.

    `patience_s` is how long one question may wait for a source that asks us to (429, 503 with
    Retry-After) or breaks. `ca` names a file of further certificate authorities. Only addresses of
    this machine may be plain http, unless `plain_http` says that the agreement allows it.
    """

    base_url: EnvName
    plain_http: bool = False
    ca: EnvName | None = None
    per_second: Annotated[float, Field(gt=0, le=1000)] | None = None
    patience_s: Annotated[int, Field(ge=1, le=3600)] = 60
    timeout_s: Annotated[int, Field(ge=1, le=600)] = 30
    answer_s: Annotated[int, Field(ge=1, le=3600)] = 300
    answer_mb: Annotated[int, Field(ge=1, le=1024)] = 64


class ByNumber(Strict):
    """Pages have numbers, or `counts` rows: `page=3`, `offset=1000`.

    Where the source tells no `total`, `ends` says how its pages end: after a `short` one, by an
    `empty` one, or by a `missing` one (404). `echo` is the page number in the answer, if it says.
    A source that pages by number without a stable window shifts its rows when it changes; a row
    that comes twice shows it, so exact copies are refused unless the source `may_repeat` them.
    """

    by: Literal["number"]
    parameter: str = "page"
    first: Annotated[int, Field(ge=0)] = 1
    counts: Literal["pages", "rows"] = "pages"
    size_parameter: str | None = "size"
    size: Rows = 500
    ends: Literal["short", "empty", "missing"] = "empty"
    echo: Path | None = None
    total: Path | None = None
    may_repeat: bool = False


class ByCursor(Strict):
    """Each page names the next by an opaque cursor; none, null or empty text ends them.

    `repeats_query` sends the first question's parameters with every cursor.
    """

    by: Literal["cursor"]
    parameter: str = "cursor"
    next: Path = "next"
    more: Path | None = None
    repeats_query: bool = False
    size_parameter: str | None = None
    size: Rows = 500
    total: Path | None = None


class ByLink(Strict):
    """Each page links to the next: in its Link header (RFC 8288), or at path `next` in its body."""

    by: Literal["link"]
    next: Path | None = None
    size_parameter: str | None = None
    size: Rows = 500
    total: Path | None = None


class OnePage(Strict):
    """One answer holds everything."""

    by: Literal["one"]
    total: Path | None = None


Paging = Annotated[ByNumber | ByCursor | ByLink | OnePage, Field(discriminator="by")]


class ByPosition(Strict):
    """Windows between positions: the source numbers its changes and says how far it has come.

    What lies between two positions never changes again.
    """

    by: Literal["position"]
    path: UrlPath
    at: Path = "position"
    since: str = "since"
    until: str = "until"


class ByTime(Strict):
    """Windows between moments, by the source's own clock; each looks back, for rows that came late.

    `until` may be left out (null) where the source knows no such parameter.
    """

    by: Literal["time"]
    since: str = "since"
    until: str | None = "until"
    form: Moment = "iso"
    zone: str = "Asia/Shanghai"
    look_back_s: Annotated[int, Field(ge=0)] = 300

    @field_validator("zone")
    @classmethod
    def _exists(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"there is no time zone {zone}")
        return zone


Windows = Annotated[ByPosition | ByTime, Field(discriminator="by")]


class AskedTotals(Strict):
    """Where the source gives a window's count, and its checksum in 256 buckets if it has one."""

    path: UrlPath
    rows: Path = "rows"
    buckets: Path | None = "buckets"


class HttpPages(Wire):
    """A collection of an HTTP API, a page at a time.

    `client_id` and `client_secret` fetch a token (RFC 6749 4.4); `headers` are static keys. Both
    name variables. `fields` gives a column the path of a nested member; a member that is an object
    or a list and has no path must be listed under `ignores`. `omits_null` is for sources that
    leave out what is null. `operation` and `sequence` name the members of a change log.

    `collection: units` is short for an API like the demo city's land registry, which numbers its
    changes; everything else that is said goes before what it means.
    """

    opened_by: ClassVar[str] = "connectors.feeds.http_pages:PagesFeed"

    kind: Literal["http_pages"]
    collection: str | None = None
    path: UrlPath
    query: Mapping[str, str] = Field(default_factory=dict)
    records: Path = "."
    paging: Paging
    window: Windows | None = None
    totals: AskedTotals | None = None

    client_id: EnvName | None = None
    client_secret: EnvName | None = None
    token_path: UrlPath = "/oauth/token"  # noqa: S105 - an address, not a token
    credentials_in: Literal["form", "basic"] = "form"
    scope: str | None = None
    headers: Mapping[HeaderName, EnvName] = Field(default_factory=dict)

    fields: Mapping[str, Path] = Field(default_factory=dict)
    ignores: tuple[str, ...] = ()
    omits_null: bool = False
    operation: str | None = None
    operations: Operations = SAME
    sequence: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: Any) -> Any:
        collection = said.get("collection") if isinstance(said, dict) else None
        return {**_numbered(collection), **said} if isinstance(collection, str) else said

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("client_id and client_secret go together")
        if (self.operation is None) != (self.sequence is None):
            raise ValueError("operation and sequence go together")
        by_number = isinstance(self.paging, ByNumber) and self.paging.total is None
        if by_number and isinstance(self.window, ByTime):
            # A row that changes leaves the window, the ones behind it move up, and one is skipped.
            raise ValueError("numbered pages between two moments need a total, or rows are lost")
        return self


def _numbered(collection: str) -> dict[str, Any]:
    path = f"/v1/{collection}"
    return {
        "path": path,
        "records": "rows",
        "paging": {"by": "cursor"},
        "window": {"by": "position", "path": f"{path}/position"},
        "totals": {"path": f"{path}/totals"},
        "operation": "_op",
        "sequence": "_seq",
    }


class ProvincialExchange(Wire):
    """A service of a national-style exchange platform, called with signed headers.

    `dialect` is a name of `dialects.yaml`; `says` replaces single words of it where a platform
    speaks its own. `changed` is the column by which later pulls ask for what has changed; without
    it every pull is a whole snapshot. `where` are fixed conditions, column by column.
    """

    opened_by: ClassVar[str] = "connectors.feeds.provincial_exchange:ExchangeFeed"

    kind: Literal["provincial_exchange"]
    dialect: str = "gjgxjhpt"
    says: Mapping[str, Any] = Field(default_factory=dict)
    requester: EnvName
    app_key: EnvName
    service: str
    page_size: Rows = 500
    where: Mapping[str, str] = Field(default_factory=dict)
    changed: str | None = None
    form: Moment = "iso"
    zone: str = "Asia/Shanghai"
    look_back_s: Annotated[int, Field(ge=0)] = 300
    may_repeat: bool = False
    fields: Mapping[str, Path] = Field(default_factory=dict)
    ignores: tuple[str, ...] = ()
    omits_null: bool = False


class PythonReader(FeedSettings):
    """A function of your own, `package.module:function`, that gives anything Arrow, or dlt's.

    It is called with `options` and, where it takes one, `cursor`. `changes` says that what it
    gives after the first time are changes; else every pull is a whole snapshot.
    """

    opened_by: ClassVar[str] = "connectors.feeds.arrow_reader:ReaderFeed"

    kind: Literal["python"]
    reader: Reader
    options: Mapping[str, Any] = Field(default_factory=dict)
    secrets: Mapping[str, EnvName] = Field(default_factory=dict)
    mode: Literal["snapshot", "changes"] = "snapshot"
    operation: str | None = None
    operations: Operations = SAME
    sequence: str | None = None


HttpSettings = HttpPages | ProvincialExchange | PythonReader
