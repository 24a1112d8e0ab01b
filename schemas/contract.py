"""Dataset contracts: what a dataset is, said once, in ODCS v3 YAML under `contracts/`.

From a contract come the Arrow schema, the columns of its table, the JSON Schema of a row, its
quality rules and its catalogue entry. A contract that contradicts itself or another does not load.
An installation's own contracts stand beside the packaged ones. Tables are made and rules are run
elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal

import pyarrow as pa

from schemas import installation
from schemas.codes import code_list
from schemas.errors import NotFound

FieldType = Literal["string", "date", "timestamp", "decimal", "boolean", "integer", "json"]
Kind = Literal["base", "thematic", "view"]
Cardinality = Literal["one", "many"]
Classification = Literal["S1", "S2", "S3", "S4"]
ShareClass = Literal["unconditional", "conditional", "withheld"]
Severity = Literal["error", "warning"]

RETENTION = timedelta(days=90)
"""How long a landed batch is kept where its contract does not say."""


@dataclass(frozen=True)
class Authority:
    """The one source of a dataset (一数一源): its unified social credit code and its name."""

    code: str
    name_zh: str


@dataclass(frozen=True)
class IdentifierBy:
    """A number whose kind another column tells: {"111": "resident", "001": "uscc"}."""

    column: str
    kinds: Mapping[str, str]


@dataclass(frozen=True)
class Reference:
    """The column of another dataset that should know a value."""

    dataset: str
    column: str


@dataclass(frozen=True)
class Field:
    """One column: what it means, how closely it is held and what it may contain.

    `references` says where a value should be known, under None or, for a number whose kind another
    column tells, under each kind's code; an unknown value is flagged, never dropped. A
    `former_number` is an older number of the row's own subject, which people may still ask by.
    """

    name: str
    type: FieldType
    sql_type: str
    label_zh: str
    short_name: str
    required: bool
    classification: Classification
    share_class: ShareClass
    withheld_by: str | None = None
    identifier: str | None = None
    identifier_by: IdentifierBy | None = None
    code_list: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    minimum: float | None = None
    precision: int | None = None
    scale: int | None = None
    description: str = ""
    references: Mapping[str | None, Reference] = field(default_factory=dict)
    former_number: bool = False

    @property
    def arrow_type(self) -> pa.DataType:
        """Return the Arrow type of the column."""
        if self.type == "decimal":
            return pa.decimal128(self.precision, self.scale)
        return ARROW_TYPES[self.type]

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of one value; decimals travel as text, so none is rounded."""
        schema: dict[str, Any] = {"title": self.label_zh, **JSON_TYPES[self.type]}
        if self.description:
            schema["description"] = self.description
        if self.type == "decimal":
            schema["pattern"] = rf"^-?[0-9]+(\.[0-9]{{1,{self.scale}}})?$"
        if self.min_length is not None:
            schema["minLength"] = self.min_length
        if self.max_length is not None:
            schema["maxLength"] = self.max_length
        if self.code_list is not None:
            schema["enum"] = list(code_list(self.code_list).values)
        return schema if self.required else {"anyOf": [schema, {"type": "null"}]}


@dataclass(frozen=True)
class Rule:
    """A statement about one row, as a boolean SQL expression that polars compiles.

    A row for which it is false breaks it; unknown (NULL) does not. `error` quarantines the row,
    `warning` counts it.
    """

    name: str
    expression: str
    severity: Severity
    dimension: str
    description: str


@dataclass(frozen=True)
class Contract:
    """One dataset. `subjects` says under which column a subject of each type is looked up.

    `scopes` says, for each parent of a thematic dataset, which of its columns (values) are which of
    ours (keys): rows that agree there are built together. `retention` is how long a landed batch is
    kept; nothing is landed of what is built or viewed.
    """

    id: str
    version: str
    library: str
    name_zh: str
    purpose: str
    limitations: str
    owner: str
    authority: Authority
    kind: Kind
    cardinality: Cardinality
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    subjects: Mapping[str, str]
    parents: tuple[str, ...]
    scopes: Mapping[str, Mapping[str, str]]
    sql: str | None
    relation: str
    freshness: timedelta
    retention: timedelta | None
    quality: tuple[Rule, ...]

    @property
    def table(self) -> str:
        """Return the table's name inside the PostgreSQL schema `library`."""
        return self.id.replace(".", "_")

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the fields, in order."""
        return tuple(each.name for each in self.fields)

    def field(self, name: str) -> Field:
        """Return the field of that name. Raises `NotFound`."""
        for each in self.fields:
            if each.name == name:
                return each
        raise NotFound(f"{self.id} has no field {name}", zh=f"{self.name_zh}没有字段{name}")

    def arrow_schema(self) -> pa.Schema:
        """Return the Arrow schema of a checked batch."""
        return pa.schema(
            [
                pa.field(each.name, each.arrow_type, nullable=not each.required)
                for each in self.fields
            ]
        )

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of one row."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:yizhan:contract:{self.id}:{self.version}",
            "title": self.name_zh,
            "description": self.purpose,
            "type": "object",
            "properties": {each.name: each.json_schema() for each in self.fields},
            "required": [each.name for each in self.fields if each.required],
            "additionalProperties": False,
        }


def load(dataset_id: str) -> Contract:
    """Return the contract of a dataset. Raises `NotFound`."""
    contracts = _contracts(*_stamps())
    if dataset_id not in contracts:
        raise NotFound(f"there is no dataset {dataset_id}", zh=f"没有数据集{dataset_id}")
    return contracts[dataset_id]


def all_contracts() -> tuple[Contract, ...]:
    """Return every contract, base datasets before those built from them."""
    return tuple(_contracts(*_stamps()).values())


def _stamps() -> tuple[installation.Stamp, installation.Stamp]:
    return installation.stamp("contracts"), installation.stamp("codes")


@lru_cache(maxsize=2)
def _contracts(own: installation.Stamp, _codes: installation.Stamp) -> Mapping[str, Contract]:
    """Read once for each state of the installation's own files."""
    from schemas.contract_files import FOLDER, read_all

    return read_all(FOLDER, own.folder)


ARROW_TYPES: Mapping[FieldType, pa.DataType] = {
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "json": pa.string(),
}

JSON_TYPES: Mapping[FieldType, Mapping[str, Any]] = {
    "string": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
    "decimal": {"type": "string"},
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "json": {"type": "object"},
}
