"""How delivered files are found, recognised and read: the settings of a file drop.

    feed:
      kind: file_drop
      folder: YIZHAN_SOURCE_BIRTHS_FOLDER         # a path here, or on the SFTP server
      whole: csrk_{date}_full.csv.gz
      changes: csrk_{date}_{number}.csv.gz
      operation: BGLX
      control: {file: "{name}.ok", form: json, rows: count, digest: md5}
      done: done

`{date}` is 20260105 or 2026-01-05, `{time}` 0830 or 083000, `{number}` any digits; what comes
before the ending is a file's stem. `prefix: frk` is short for `frk_{date}_full.csv`,
`frk_{date}_{number}.csv` and their control files of three lines.
"""

from __future__ import annotations

import codecs
import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from connectors.feeds.feed_settings import SAME, EnvName, FeedSettings, Operations, Strict
from connectors.parsing.spec import Form, Packing

Pattern = Annotated[str, StringConstraints(pattern=r"^[^\s/\\{}]*(\{\w+\}[^\s/\\{}]*)+$")]
FolderName = Annotated[str, StringConstraints(pattern=r"^[^\s/\\.][^\s/\\]*$")]
Pause = Annotated[str, StringConstraints(pattern=r"^\d+[smh]$")]
Character = Annotated[str, StringConstraints(min_length=1, max_length=1)]

PLACEHOLDERS = frozenset({"date", "time", "number"})
ENDINGS: dict[str, Form] = {
    ".csv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
PACKINGS: dict[str, Packing] = {".gz": "gz", ".zip": "zip"}
ENCODINGS = {"gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "utf-8": "utf-8"}
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def pause(said: str) -> timedelta:
    """How long `30s`, `10m` or `1h` is."""
    return timedelta(seconds=int(said[:-1]) * _SECONDS[said[-1]])


class Sftp(Strict):
    """A server that is asked over SSH. `host_key` is what it must show, and nothing else will do.

    `host` names the variable with `host` or `host:port`; `password`, or `key` (the path of a
    private key, its passphrase in `passphrase`), who we are. `host_key` names the variable with
    lines as `ssh-keyscan` prints them, or with `SHA256:` fingerprints.
    """

    host: EnvName
    user: EnvName
    host_key: EnvName
    password: EnvName | None = None
    key: EnvName | None = None
    passphrase: EnvName | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> Sftp:
        if (self.password is None) == (self.key is None):
            raise ValueError("sftp needs either password or key")
        return self


class Control(Strict):
    """A small file that says that another one is there, and what is in it.

    Its forms: `lines` (`ROWS=12`, or with a colon), `json` (an object), `sums` (`<digest>  <name>`,
    as md5sum prints it) and `flag` (it is there, no more). `rows`, `digest` and `name` are the keys
    of lines and JSON, whatever their case; None says that there is no such key.
    """

    file: str = "{stem}.ctl"
    form: Literal["lines", "json", "sums", "flag"] = "lines"
    rows: str | None = None
    digest: str | None = None
    name: str | None = None
    algorithm: Literal["md5", "sha1", "sha256", "sm3"] | None = None
    counts_header: bool = False

    @property
    def hashed_by(self) -> str | None:
        """The digest's algorithm; where it is not said, the digest's key is its name."""
        if self.algorithm or self.digest is None:
            return self.algorithm
        return self.digest.lower()

    @model_validator(mode="after")
    def _hangs_together(self) -> Control:
        if not re.fullmatch(r"[^\s/\\{}]*\{(stem|name)\}[^\s/\\{}]*", self.file):
            raise ValueError("a control file is named by {stem} or {name} of its file")
        if self.form in ("lines", "json") and self.rows is None and self.digest is None:
            raise ValueError("say which keys of the control file hold rows, digest or both")
        if self.form == "sums" and self.algorithm is None:
            raise ValueError("say by which algorithm the sums are made")
        if self.hashed_by not in (None, "md5", "sha1", "sha256", "sm3"):
            raise ValueError("say by which algorithm the digest is made")
        return self


class Settle(Strict):
    """No control files: a file is whole when it has not changed for so long."""

    settle: Pause


class Csv(Strict):
    """How a CSV is written. `skip` lines come before the header, which is required."""

    delimiter: Character = ","
    quote: Character | None = '"'
    escape: Character | None = None
    skip: Annotated[int, Field(ge=0, le=100)] = 0


class Sheet(Strict):
    """Where in a workbook the rows are; `header` are the rows that name the columns, from 1."""

    name: str | None = None
    header: tuple[Annotated[int, Field(ge=1, le=100)], ...] = (1,)

    @field_validator("header", mode="before")
    @classmethod
    def _one_or_many(cls, said: object) -> object:
        return (said,) if isinstance(said, int) else said

    @field_validator("header")
    @classmethod
    def _at_least_one(cls, said: tuple[int, ...]) -> tuple[int, ...]:
        if not said:
            raise ValueError("a sheet without a header cannot be read")
        return said


_LEGACY = Control(rows="ROWS", digest="SM3", name="FILE")


class FileDrop(FeedSettings):
    """A folder, here or on a server, where the department puts whole files, increments or both.

    `gaps: wait` stops at a missing increment until it comes; `skip` goes on, counts it and takes it
    up when it is late. `days: daily` says that files named by a date alone come every day.
    An increment whose bytes were read before is passed over (`repeated: skip`); say `read` where
    its rows carry no time and may truly repeat. `done` is a folder that taken files are moved to.
    Without `operation` every row of an increment is an insert or an update. `member` tells the file
    of an archive that holds several, such as `*.csv`.
    """

    opened_by: ClassVar[str] = "connectors.feeds.file_drop:DropFeed"

    kind: Literal["file_drop"]
    folder: EnvName
    sftp: Sftp | None = None
    prefix: str | None = None
    whole: Pattern | None = None
    changes: Pattern | None = None
    format: Form | None = None
    encoding: str | None = None
    csv: Csv = Csv()
    sheet: Sheet = Sheet()
    member: str | None = None
    control: Control | Settle = _LEGACY
    operation: str | None = None
    operations: Operations = SAME
    gaps: Literal["wait", "skip"] = "wait"
    days: Literal["daily", "any"] = "daily"
    repeated: Literal["skip", "read"] = "skip"
    done: FolderName | None = None
    returns: FolderName = "returns"

    @property
    def patterns(self) -> tuple[str | None, str | None]:
        """The names of whole files and of increments."""
        if self.prefix is not None:
            return f"{self.prefix}_{{date}}_full.csv", f"{self.prefix}_{{date}}_{{number}}.csv"
        return self.whole, self.changes

    @property
    def sends_csv(self) -> bool:
        """Whether the department writes CSV itself."""
        return any(self.form_of(pattern)[0] == "csv" for pattern in self.patterns if pattern)

    def text_encoding(self, form: Form) -> str:
        """The encoding of CSV or JSON lines; GB 18030 reads whatever GBK wrote."""
        said = self.encoding or ("gb18030" if form == "csv" else "utf-8")
        return ENCODINGS[codecs.lookup(said).name.removesuffix("-sig")]

    @model_validator(mode="after")
    def _hangs_together(self) -> FileDrop:
        patterns = [pattern for pattern in (self.whole, self.changes) if pattern]
        if (self.prefix is None) == (not patterns):
            raise ValueError("say either prefix, or how whole files and changes are named")
        for pattern in (pattern for pattern in self.patterns if pattern):
            _check_pattern(pattern)
            self.form_of(pattern)
        if len({"{date}" in pattern for pattern in patterns}) > 1:
            raise ValueError("whole files and changes must both have {date}, or neither")
        return self

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, said: str | None) -> str | None:
        if said is None:
            return None
        try:
            known = codecs.lookup(said).name.removesuffix("-sig") in ENCODINGS
        except LookupError:
            known = False
        if not known:
            raise ValueError("encoding is gb18030 (which reads gbk and gb2312) or utf-8")
        return said

    def form_of(self, name: str) -> tuple[Form, Packing]:
        """What a file of this name is, and how it is packed."""
        base, packing = name, "plain"
        for ending, packed in PACKINGS.items():
            if name.lower().endswith(ending):
                base, packing = name[: -len(ending)], packed
        ending = "." + base.lower().rpartition(".")[2]
        form = self.format or ENDINGS.get(ending)
        if form is None:
            raise ValueError(f"say the format: {name} does not tell it")
        return form, packing  # type: ignore[return-value]  # a value of PACKINGS or plain


def _check_pattern(pattern: str) -> None:
    named = re.findall(r"\{(\w+)\}", pattern)
    if unknown := set(named) - PLACEHOLDERS:
        raise ValueError(f"{pattern} has {{{min(unknown)}}}: use {{date}}, {{time}} or {{number}}")
    if len(set(named)) < len(named) or not {"date", "number"} & set(named):
        raise ValueError(f"{pattern} needs {{date}} or {{number}}, and each once")
    if re.search(r"\}\{", pattern):
        raise ValueError(f"{pattern} has two placeholders with nothing between them")


FileSettings = FileDrop
