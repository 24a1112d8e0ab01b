"""Read contracts: ODCS v3 YAML into `Contract`, refusing a contract that contradicts itself.

The standard's shape is checked by `open-data-contract-standard`; what Yizhan adds to it
(customProperties) is checked here, together with what one contract says about another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Annotated, Any, get_args

import pydantic
import yaml
from open_data_contract_standard.model import (
    CustomProperty,
    DataQuality,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
)

from schemas.codes import all_code_lists
from schemas.contract import (
    Authority,
    Cardinality,
    Classification,
    Contract,
    Field,
    FieldType,
    IdentifierBy,
    Kind,
    Rule,
    Severity,
    ShareClass,
)
from schemas.errors import Invalid
from schemas.identifiers import KINDS

FOLDER = files("schemas") / "contracts"
ROW_RULES = "polars-sql"
ORDER: Mapping[str, int] = {"base": 0, "thematic": 1, "view": 2}

# ODCS logicalType to ours, with the PostgreSQL types that may carry it.
TYPES: Mapping[str, tuple[FieldType, str]] = {
    "string": ("string", r"text"),
    "date": ("date", r"date"),
    "timestamp": ("timestamp", r"timestamptz"),
    "number": ("decimal", r"numeric\((\d+),(\d+)\)"),
    "boolean": ("boolean", r"boolean"),
    "integer": ("integer", r"bigint|integer|smallint"),
    "object": ("json", r"jsonb"),
}

Word = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
DatasetId = Annotated[
    str, pydantic.StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")
]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)


class _AuthorityProperty(_Strict):
    code: str
    name: str


class _DatasetProperties(_Strict):
    """What Yizhan adds to a dataset."""

    kind: Kind
    cardinality: Cardinality
    sourceAuthority: _AuthorityProperty
    subjects: dict[str, Word]
    parents: list[DatasetId] = []
    sql: str | None = None
    relation: str | None = None


class _IdentifierByProperty(_Strict):
    column: Word
    kinds: dict[str, str]


class _FieldProperties(_Strict):
    """What Yizhan adds to a field."""

    shortName: str
    shareClass: ShareClass
    withheldBy: str | None = None
    identifier: str | None = None
    identifierBy: _IdentifierByProperty | None = None
    codeList: str | None = None


def read_all(folder: Traversable = FOLDER) -> Mapping[str, Contract]:
    """Read every contract of a folder. Raises `Invalid` naming the contract and what is wrong."""
    found = [
        read(library, file)
        for library in sorted(folder.iterdir(), key=lambda each: each.name)
        if library.is_dir()
        for file in sorted(library.iterdir(), key=lambda each: each.name)
        if file.name.endswith(".yaml")
    ]
    ordered = sorted(found, key=lambda contract: (ORDER[contract.kind], contract.id))
    contracts = {contract.id: contract for contract in ordered}
    for contract in ordered:
        for parent in contract.parents:
            _need(parent in contracts, contract.id, f"its parent {parent} does not exist")
    return MappingProxyType(contracts)


def read(library: Traversable, file: Traversable) -> Contract:
    """Read one contract file of a library's folder. Raises `Invalid`."""
    dataset_id = f"{library.name}.{file.name.removesuffix('.yaml')}"
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        odcs = OpenDataContractStandard.model_validate(document)
        contract = _contract(odcs, library)
    except (yaml.YAMLError, pydantic.ValidationError) as err:
        raise Invalid(f"the contract {dataset_id} is not well formed: {err}") from err
    _need(contract.id == dataset_id, dataset_id, f"it calls itself {contract.id}")
    _check(contract)
    return contract


def _contract(odcs: OpenDataContractStandard, library: Traversable) -> Contract:
    dataset_id = odcs.id or ""
    _need(bool(odcs.schema_) and len(odcs.schema_ or ()) == 1, dataset_id, "it needs one schema")
    table = (odcs.schema_ or [SchemaObject()])[0]
    added = _DatasetProperties.model_validate(_custom(odcs.customProperties))
    properties = table.properties or []
    sql = library.joinpath(added.sql).read_text(encoding="utf-8") if added.sql else None
    return Contract(
        id=dataset_id,
        version=odcs.version or "",
        library=odcs.domain or "",
        name_zh=table.businessName or "",
        purpose=(odcs.description and odcs.description.purpose) or "",
        limitations=(odcs.description and odcs.description.limitations) or "",
        owner=_team_name(odcs),
        authority=Authority(added.sourceAuthority.code, added.sourceAuthority.name),
        kind=added.kind,
        cardinality=added.cardinality,
        key=_key(properties),
        fields=tuple(_field(dataset_id, each) for each in properties),
        subjects=MappingProxyType(added.subjects),
        parents=tuple(added.parents),
        sql=sql,
        relation=added.relation or f"library.{dataset_id.replace('.', '_')}",
        freshness=_freshness(odcs),
        quality=tuple(_rule(dataset_id, each) for each in table.quality or []),
    )


def _custom(properties: Iterable[CustomProperty] | None) -> dict[str, Any]:
    return {each.property or "": each.value for each in properties or ()}


def _team_name(odcs: OpenDataContractStandard) -> str:
    team = odcs.team
    return (team.name or "") if team is not None and not isinstance(team, list) else ""


def _key(properties: Iterable[SchemaProperty]) -> tuple[str, ...]:
    keys = [each for each in properties if each.primaryKey]
    keys.sort(key=lambda each: each.primaryKeyPosition or 0)
    return tuple(each.name or "" for each in keys)


def _freshness(odcs: OpenDataContractStandard) -> timedelta:
    for promise in odcs.slaProperties or ():
        if promise.property == "freshness" and promise.unit == "s":
            return timedelta(seconds=float(promise.value or 0))
    raise Invalid(f"the contract {odcs.id} promises no freshness in seconds")


def _field(dataset_id: str, odcs: SchemaProperty) -> Field:
    where = f"{dataset_id}.{odcs.name}"
    added = _FieldProperties.model_validate(_custom(odcs.customProperties))
    kind, precision, scale = _type(where, odcs)
    options = odcs.logicalTypeOptions or {}
    _need(odcs.classification in get_args(Classification), where, "it has no level S1 to S4")
    return Field(
        name=odcs.name or "",
        type=kind,
        sql_type=odcs.physicalType or "",
        label_zh=odcs.businessName or "",
        short_name=added.shortName,
        required=bool(odcs.required),
        classification=odcs.classification,  # type: ignore[arg-type]  # one of them, just checked
        share_class=added.shareClass,
        withheld_by=added.withheldBy,
        identifier=added.identifier,
        identifier_by=_identifier_by(added.identifierBy),
        code_list=added.codeList,
        min_length=options.get("minLength"),
        max_length=options.get("maxLength"),
        minimum=options.get("minimum"),
        precision=precision,
        scale=scale,
        description=odcs.description or "",
    )


def _type(where: str, odcs: SchemaProperty) -> tuple[FieldType, int | None, int | None]:
    _need(odcs.logicalType in TYPES, where, f"its type {odcs.logicalType} is unknown")
    kind, physical = TYPES[odcs.logicalType or ""]
    matched = re.fullmatch(physical, odcs.physicalType or "")
    if matched is None:
        raise Invalid(f"{where}: {odcs.physicalType} cannot carry a {odcs.logicalType}")
    if kind != "decimal":
        return kind, None, None
    return kind, int(matched[1]), int(matched[2])


def _identifier_by(added: _IdentifierByProperty | None) -> IdentifierBy | None:
    if added is None:
        return None
    return IdentifierBy(added.column, MappingProxyType(added.kinds))


def _rule(dataset_id: str, odcs: DataQuality) -> Rule:
    where = f"{dataset_id} rule {odcs.name}"
    _need(
        odcs.type == "custom" and odcs.engine == ROW_RULES, where, f"it is not a {ROW_RULES} rule"
    )
    _need(odcs.severity in get_args(Severity), where, "its severity is neither error nor warning")
    return Rule(
        name=odcs.name or "",
        expression=str(odcs.implementation),
        severity=odcs.severity,  # type: ignore[arg-type]  # one of them, just checked
        dimension=odcs.dimension or "",
        description=odcs.description or "",
    )


def _check(contract: Contract) -> None:
    """A contract keeps its own promises: key, subjects, builds and fields fit together."""
    columns = set(contract.columns)
    _need(len(columns) == len(contract.fields), contract.id, "a field is there twice")
    _need(
        contract.id.split(".")[0] == contract.library, contract.id, "its domain is not its folder"
    )
    _need(bool(contract.key), contract.id, "it has no key")
    _need(bool(contract.owner and contract.name_zh), contract.id, "it has no owner or no name")
    for name in contract.key:
        _need(contract.field(name).required, contract.id, f"its key {name} may be empty")
    for column in contract.subjects.values():
        _need(column in columns, contract.id, f"its subject column {column} does not exist")
    built = contract.kind != "base"
    _need(built == (contract.sql is not None), contract.id, "only what is built or viewed has SQL")
    _need((contract.kind == "thematic") == bool(contract.parents), contract.id, "parents misplaced")
    KINDS["uscc"](contract.authority.code)
    for field in contract.fields:
        _check_field(f"{contract.id}.{field.name}", field, columns)


def _check_field(where: str, field: Field, columns: set[str]) -> None:
    withheld = field.share_class == "withheld"
    _need(
        withheld == bool(field.withheld_by), where, "what is withheld names its law, and no other"
    )
    _need(bool(field.label_zh and field.short_name), where, "it has no Chinese or short name")
    _need(field.identifier is None or field.identifier in KINDS, where, "unknown identifier kind")
    _need(
        field.code_list is None or field.code_list in all_code_lists(), where, "unknown code list"
    )
    if field.identifier_by is not None:
        _need(field.identifier_by.column in columns, where, "the kind's column does not exist")
        _need(set(field.identifier_by.kinds.values()) <= set(KINDS), where, "unknown kind")


def _need(holds: bool, where: str, otherwise: str) -> None:
    if not holds:
        raise Invalid(f"the contract {where}: {otherwise}")
