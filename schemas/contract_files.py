"""Read contracts: ODCS v3 YAML into `Contract`, refusing a contract that contradicts itself.

The standard's shape is checked by `open-data-contract-standard`; what Yizhan adds to it
(customProperties) is checked here, what must hold of it in `contract_checks`. Every error names
the file and the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any, get_args

from open_data_contract_standard.model import (
    CustomProperty,
    DataQuality,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
)

from schemas.contract import (
    RETENTION,
    Authority,
    Classification,
    Contract,
    Field,
    FieldType,
    IdentifierBy,
    Reference,
    Rule,
    Severity,
)
from schemas.contract_added import (
    DatasetProperties,
    FieldProperties,
    IdentifierByProperty,
    TypeOptions,
)
from schemas.contract_checks import check, check_rules, ordered, with_scopes
from schemas.yaml_files import Place, read_yaml, yaml_files

FOLDER = files("schemas") / "contracts"
ROW_RULES = "polars-sql"
# ODCS 3.1, quality: the only dimensions that it knows.
DIMENSIONS = (
    *("accuracy", "completeness", "conformity", "consistency"),
    *("coverage", "timeliness", "uniqueness"),
)

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
# ODCS slaProperties: "d, day, days for days; y, yr, years for years".
SECONDS: Mapping[str, int] = {
    **dict.fromkeys(("s", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("y", "yr", "year", "years"), 365 * 86_400),
}


def read_all(*folders: Traversable) -> Mapping[str, Contract]:
    """Read every contract of the folders, as one set.

    Raises `Invalid` naming the file, the place and what is wrong; two files that describe the same
    dataset are.
    """
    places = dict[str, Place]()
    together = dict[str, Contract]()
    for folder in folders or (FOLDER,):
        for library, file in _files(folder):
            contract, place = read(library, file), Place(str(file))
            if contract.id in places:
                raise place.wrong(f"{contract.id} is described in {places[contract.id]} too")
            if folder != FOLDER:
                check_rules(contract, place)
            places[contract.id], together[contract.id] = place, contract
    scoped = [with_scopes(each, together, places[each.id]) for each in together.values()]
    return MappingProxyType({each.id: each for each in ordered(scoped)})


def _files(folder: Traversable) -> Iterable[tuple[Traversable, Traversable]]:
    """Each library of the folder with each of its contract files; none where there is no folder."""
    if folder.is_dir():
        libraries = (each for each in folder.iterdir() if each.is_dir())
        for library in sorted(libraries, key=lambda each: each.name):
            yield from ((library, file) for file in yaml_files(library))


def read(library: Traversable, file: Traversable) -> Contract:
    """Read one contract file of a library's folder. Raises `Invalid`."""
    place = Place(str(file))
    odcs = place.shaped(OpenDataContractStandard, read_yaml(file))
    contract = _contract(odcs, library, place)
    dataset_id = f"{library.name}.{file.name.removesuffix('.yaml')}"
    place.need(
        contract.id == dataset_id,
        f"by its place it is {dataset_id}, and it calls itself {contract.id}",
    )
    check(contract, place)
    return contract


def _contract(odcs: OpenDataContractStandard, library: Traversable, place: Place) -> Contract:
    place.need(len(odcs.schema_ or ()) == 1, "it needs one schema")
    table = (odcs.schema_ or [SchemaObject()])[0]
    added = place.shaped(DatasetProperties, _custom(odcs.customProperties, place))
    dataset_id, properties = odcs.id or "", table.properties or []
    scopes = {each.dataset: MappingProxyType(each.scope) for each in added.parents}
    place.need(len(scopes) == len(added.parents), "a parent is there twice")
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
        fields=tuple(_field(place.inside(f"field {each.name}"), each) for each in properties),
        subjects=MappingProxyType(added.subjects),
        parents=tuple(scopes),
        scopes=MappingProxyType(scopes),
        sql=_sql(library, added.sql, place),
        relation=added.relation or f"library.{dataset_id.replace('.', '_')}",
        freshness=_freshness(odcs, place),
        retention=_retention(odcs, place) if added.kind == "base" else None,
        quality=tuple(
            _rule(place.inside(f"rule {each.name}"), each) for each in table.quality or []
        ),
    )


def _custom(properties: Iterable[CustomProperty] | None, place: Place) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for each in properties or ():
        place.need(each.property not in said, f"{each.property} is there twice")
        said[each.property or ""] = each.value
    return said


def _sql(library: Traversable, name: str | None, place: Place) -> str | None:
    if name is None:
        return None
    file = library.joinpath(name)
    place.need("/" not in name and file.is_file(), f"its SQL {name} is not beside it")
    return file.read_text(encoding="utf-8")


def _team_name(odcs: OpenDataContractStandard) -> str:
    team = odcs.team
    return (team.name or "") if team is not None and not isinstance(team, list) else ""


def _key(properties: Iterable[SchemaProperty]) -> tuple[str, ...]:
    keys = [each for each in properties if each.primaryKey]
    keys.sort(key=lambda each: each.primaryKeyPosition or 0)
    return tuple(each.name or "" for each in keys)


def _freshness(odcs: OpenDataContractStandard, place: Place) -> timedelta:
    promised = _promise(odcs, "freshness", place)
    if promised is None:
        raise place.wrong("slaProperties promise no freshness")
    return promised


def _retention(odcs: OpenDataContractStandard, place: Place) -> timedelta:
    said = _promise(odcs, "retention", place)
    place.need(said is None or said >= timedelta(days=1), "its retention is less than a day")
    return RETENTION if said is None else said


def _promise(odcs: OpenDataContractStandard, name: str, place: Place) -> timedelta | None:
    for promise in odcs.slaProperties or ():
        if promise.property == name:
            at = place.inside(f"slaProperties {name}")
            at.need(promise.unit in SECONDS, f"its unit is not one of {', '.join(SECONDS)}")
            if not isinstance(promise.value, int | float) or promise.value < 0:
                raise at.wrong("its value is not a number of such units")
            return timedelta(seconds=promise.value * SECONDS[promise.unit or ""])
    return None


def _field(place: Place, odcs: SchemaProperty) -> Field:
    added = place.shaped(FieldProperties, _custom(odcs.customProperties, place))
    kind, precision, scale = _type(place, odcs)
    options = place.shaped(TypeOptions, odcs.logicalTypeOptions or {})
    place.need(odcs.classification in get_args(Classification), "it has no level S1 to S4")
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
        min_length=options.minLength,
        max_length=options.maxLength,
        minimum=options.minimum,
        precision=precision,
        scale=scale,
        description=odcs.description or "",
        references=MappingProxyType(
            {kind: Reference(at.dataset, at.column) for kind, at in added.references.items()}
        ),
        former_number=added.formerNumber,
    )


def _type(place: Place, odcs: SchemaProperty) -> tuple[FieldType, int | None, int | None]:
    place.need(odcs.logicalType in TYPES, f"its type {odcs.logicalType} is unknown")
    kind, physical = TYPES[odcs.logicalType or ""]
    matched = re.fullmatch(physical, odcs.physicalType or "")
    if matched is None:
        raise place.wrong(f"{odcs.physicalType} cannot carry a {odcs.logicalType}")
    if kind != "decimal":
        return kind, None, None
    return kind, int(matched[1]), int(matched[2])


def _identifier_by(added: IdentifierByProperty | None) -> IdentifierBy | None:
    if added is None:
        return None
    return IdentifierBy(added.column, MappingProxyType(added.kinds))


def _rule(place: Place, odcs: DataQuality) -> Rule:
    ours = odcs.type == "custom" and odcs.engine == ROW_RULES
    place.need(ours, f"it is not a {ROW_RULES} rule")
    place.need(odcs.severity in get_args(Severity), "its severity is neither error nor warning")
    place.need(odcs.dimension in DIMENSIONS, f"its dimension is not one of {', '.join(DIMENSIONS)}")
    return Rule(
        name=odcs.name or "",
        expression=str(odcs.implementation),
        severity=odcs.severity,  # type: ignore[arg-type]  # one of them, just checked
        dimension=odcs.dimension or "",
        description=odcs.description or "",
    )
