"""What must hold of a contract: in itself, and of one beside the others.

A contract that does not keep to it is never loaded, so nobody else asks these questions again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from schemas.codes import all_code_lists
from schemas.contract import Contract, Field, Kind, Reference
from schemas.errors import Invalid
from schemas.identifiers import KINDS
from schemas.yaml_files import Place

ORDER: Mapping[Kind, int] = {"base": 0, "thematic": 1, "view": 2}

Together = Mapping[str, Contract]


def check(contract: Contract, place: Place) -> None:
    """A contract keeps its own promises: key, subjects, builds and fields fit together."""
    columns = set(contract.columns)
    place.need(len(columns) == len(contract.fields), "a field is there twice")
    place.need(contract.id.split(".")[0] == contract.library, "its domain is not its folder")
    place.need(bool(contract.key), "it has no key")
    place.need(bool(contract.owner and contract.name_zh), "it has no owner or no name")
    for name in contract.key:
        place.need(contract.field(name).required, f"its key {name} may be empty")
    for column in contract.subjects.values():
        place.need(column in columns, f"its subject column {column} does not exist")
    _check_kind(contract, place)
    _check_authority(contract, place.inside("sourceAuthority"))
    for each in contract.fields:
        _check_field(contract, each, place.inside(f"field {each.name}"))


def _check_kind(contract: Contract, place: Place) -> None:
    built = contract.kind != "base"
    place.need(built == (contract.sql is not None), "only what is built or viewed has SQL")
    thematic = contract.kind == "thematic"
    place.need(thematic == bool(contract.parents), "parents misplaced: a thematic dataset has some")
    names = [rule.name for rule in contract.quality]
    place.need(len(set(names)) == len(names) and all(names), "two rules have one name, or none")


def _check_authority(contract: Contract, place: Place) -> None:
    try:
        KINDS["uscc"](contract.authority.code)
    except Invalid as err:
        raise place.wrong(err.message) from err


def _check_field(contract: Contract, field: Field, place: Place) -> None:
    withheld = field.share_class == "withheld"
    place.need(withheld == bool(field.withheld_by), "what is withheld names its law, and no other")
    place.need(bool(field.label_zh and field.short_name), "it has no Chinese or short name")
    place.need(field.identifier is None or field.identifier in KINDS, "unknown identifier kind")
    _check_options(field, place)
    known = field.code_list is None or field.code_list in all_code_lists()
    place.need(known, f"unknown code list {field.code_list}")
    kinds: Mapping[str, str] = {}
    if field.identifier_by is not None:
        kinds = field.identifier_by.kinds
        place.need(field.identifier is None, "it has an identifier of one kind and of several")
        exists = field.identifier_by.column in contract.columns
        place.need(exists, "the kind's column does not exist")
        place.need(set(kinds.values()) <= set(KINDS), "unknown kind")
    of_kinds = set(kinds) if kinds else {None}
    place.need(field.references.keys() <= of_kinds, "references name a kind that it does not have")
    if field.former_number:
        by_number = contract.field(contract.key[0]).identifier is not None
        place.need(by_number, "a former number replaces a key that has an identifier kind")


def check_rules(contract: Contract, place: Place) -> None:
    """Every rule is a boolean expression over the contract's own columns.

    Raises `Invalid`. Asked of an installation's own contracts; the packaged ones are tested.
    """
    import polars as pl  # here, for a process that only serves has no other use for it

    empty = pl.DataFrame(contract.arrow_schema().empty_table())
    for rule in contract.quality:
        at = place.inside(f"rule {rule.name}")
        try:
            dtypes = empty.select(pl.sql_expr(rule.expression)).dtypes
        except pl.exceptions.PolarsError as err:
            raise at.wrong(f"polars cannot read it: {err}") from err
        at.need([pl.Boolean] == dtypes, "it is not a yes or a no")


def _check_options(field: Field, place: Place) -> None:
    lengths = (field.min_length, field.max_length)
    place.need(field.type == "string" or lengths == (None, None), "only a string has a length")
    least, most = field.min_length or 0, field.max_length
    place.need(most is None or least <= most, "its least length is more than its greatest")
    counted = field.type in ("decimal", "integer")
    place.need(counted or field.minimum is None, "only a number has a minimum")


def with_scopes(contract: Contract, together: Together, place: Place) -> Contract:
    """The contract beside the others: what it names exists there, and every scope is spelled out.

    Raises `Invalid`.
    """
    for field in contract.fields:
        for reference in field.references.values():
            _check_reference(field, reference, together, place.inside(f"field {field.name}"))
    if not contract.parents:
        return contract
    at = place.inside("parents")
    for parent in contract.parents:
        at.need(parent in together, f"{parent} does not exist")
        at.need(together[parent].kind != "view", f"{parent} is a view, which has no batches")
    scope = _scope(contract, together, at)
    same = MappingProxyType({name: name for name in scope})
    scopes = {parent: contract.scopes[parent] or same for parent in contract.parents}
    for parent, columns in scopes.items():
        _check_scope(contract, together[parent], columns, scope, at.inside(f"parents {parent}"))
    return replace(contract, scopes=MappingProxyType(scopes))


def _check_reference(field: Field, reference: Reference, together: Together, place: Place) -> None:
    named = f"{reference.dataset}.{reference.column}"
    target = together.get(reference.dataset)
    if target is None or reference.column not in target.columns:
        raise place.wrong(f"it references {named}, which does not exist")
    same = target.field(reference.column).sql_type == field.sql_type
    place.need(same, f"it references {named}, which is of another type")
    indexed = {target.key[0], *target.subjects.values()}
    place.need(
        reference.column in indexed and target.kind != "view",
        f"it references {named}, which is neither the first key nor a subject of a table",
    )


def _scope(contract: Contract, together: Together, place: Place) -> tuple[str, ...]:
    """Our columns by which rows belong together: those said, or the keys that all parents have."""
    said = {tuple(sorted(scope)) for scope in contract.scopes.values() if scope}
    place.need(len(said) <= 1, "their scopes are not of the same columns of ours")
    named = said.pop() if said else ()
    if not named:
        parents = [together[parent].columns for parent in contract.parents]
        named = tuple(key for key in contract.key if all(key in columns for columns in parents))
    place.need(bool(named), "no column of our key is in each of them: say the scope of each")
    for name in named:
        place.need(name in contract.columns, f"our scope column {name} does not exist")
    return tuple(name for name in contract.columns if name in named)


def _check_scope(
    contract: Contract,
    parent: Contract,
    columns: Mapping[str, str],
    scope: tuple[str, ...],
    place: Place,
) -> None:
    place.need(set(columns) == set(scope), f"its scope is not of {', '.join(scope)}")
    for ours, theirs in columns.items():
        place.need(theirs in parent.columns, f"it has no column {theirs}: say which is our {ours}")
        same = parent.field(theirs).sql_type == contract.field(ours).sql_type
        place.need(same, f"its {theirs} and our {ours} are of different types")


def ordered(contracts: Iterable[Contract]) -> list[Contract]:
    """Base datasets, then what is built, after its parents, then views. Raises `Invalid`."""
    by_id = {each.id: each for each in contracts}
    depths: dict[str, int] = {}

    def depth(dataset: str, below: tuple[str, ...] = ()) -> int:
        if dataset in below:
            raise Invalid(f"{' is built from '.join((*below, dataset))}: that goes round")
        if dataset not in depths:
            above = (depth(each, (*below, dataset)) for each in by_id[dataset].parents)
            depths[dataset] = 1 + max(above, default=0)
        return depths[dataset]

    return sorted(by_id.values(), key=lambda each: (ORDER[each.kind], depth(each.id), each.id))
