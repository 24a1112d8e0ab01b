"""Contracts: valid by the open standard, whole by our own rules, and what is made from them."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types
import open_data_contract_standard
import polars as pl
import pyarrow as pa
import pytest
import yaml

from schemas.contract import Contract, all_contracts, load
from schemas.contract_files import FOLDER, read_all
from schemas.errors import Invalid, NotFound

FILES = sorted(Path(str(FOLDER)).rglob("*.yaml"))
CONTRACTS = all_contracts()


@pytest.fixture(params=CONTRACTS, ids=lambda contract: contract.id)
def contract(request: pytest.FixtureRequest) -> Contract:
    """Each contract in turn."""
    found: Contract = request.param
    return found


@pytest.fixture
def altered(tmp_path: Path) -> Any:
    """Return a function that reads a copy of a contract in which something was changed."""

    def read(change: Any) -> Contract:
        document = yaml.safe_load((Path(str(FOLDER)) / "population/resident.yaml").read_text())
        change(document)
        folder = tmp_path / "population"
        folder.mkdir()
        (folder / "resident.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
        return read_all(tmp_path)["population.resident"]

    return read


class TestStandard:
    @pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}.{file.stem}")
    def test_valid_by_its_json_schema(self, file: Path) -> None:
        """ODCS's own JSON Schema finds nothing to say."""
        schema = json.loads((files(open_data_contract_standard) / "schema.json").read_text())

        found = jsonschema.Draft201909Validator(schema).iter_errors(
            yaml.safe_load(file.read_text())
        )

        assert [] == [error.message for error in found]


class TestLoad:
    def test_what_is_built_comes_after_its_parents(self) -> None:
        """Whoever makes tables or builds in this order never waits for what is not there."""
        ids = [each.id for each in CONTRACTS]

        assert sorted(ids) == sorted(f"{file.parent.name}.{file.stem}" for file in FILES)
        for each in CONTRACTS:
            assert all(ids.index(parent) < ids.index(each.id) for parent in each.parents)

    def test_unknown_dataset(self) -> None:
        """There is no dataset without a contract."""
        with pytest.raises(NotFound):
            load("population.ghosts")

    def test_resident(self) -> None:
        """One contract, read by eye."""
        found = load("population.resident")

        assert ("resident_id",) == found.key
        assert {"cn.resident_id": "resident_id"} == dict(found.subjects)
        assert ("base", "one") == (found.kind, found.cardinality)
        assert "population_resident" == found.table
        assert "library.population_resident" == found.relation
        assert timedelta(hours=1) == found.freshness
        assert "永康市公安局" == found.owner == found.authority.name_zh
        assert ("GMSFHM", "S3", "unconditional", "resident") == (
            found.field("resident_id").short_name,
            found.field("resident_id").classification,
            found.field("resident_id").share_class,
            found.field("resident_id").identifier,
        )

    def test_holder_is_a_person_or_an_entity(self) -> None:
        """The kind of a holder's number is told by the column beside it."""
        by = load("real_estate.right").field("holder_id").identifier_by

        assert by is not None
        assert ("holder_id_type", {"111": "resident", "001": "uscc"}) == (by.column, dict(by.kinds))

    def test_withheld_names_its_law(self, contract: Contract) -> None:
        """What is never shared says which law withholds it, by its name and article or number."""
        for field in contract.fields:
            if field.share_class == "withheld":
                assert field.withheld_by is not None
                assert re.search(r"《.+》.*(第.+[条号]|\d号)", field.withheld_by), field.name


class TestMadeFromAContract:
    def test_arrow(self, contract: Contract) -> None:
        """The Arrow schema has the fields in order, and the key may not be empty."""
        schema = contract.arrow_schema()

        assert list(contract.columns) == schema.names
        assert not any(schema.field(name).nullable for name in contract.key)

    def test_arrow_types(self) -> None:
        """Money is decimal, moments are UTC."""
        schema = load("real_estate.right").arrow_schema()

        assert pa.decimal128(18, 2) == schema.field("amount_yuan").type
        assert pa.timestamp("us", tz="UTC") == schema.field("changed_at").type

    def test_rules_compile(self, contract: Contract) -> None:
        """Every rule is a boolean expression over the contract's own columns."""
        frame = pl.DataFrame(contract.arrow_schema().empty_table())

        for rule in contract.quality:
            assert [pl.Boolean] == frame.select(pl.sql_expr(rule.expression)).dtypes

    def test_rule_speaks_of_a_row(self) -> None:
        """A false row breaks the rule, an unknown one does not."""
        rule = next(r for r in load("population.resident").quality if r.name == "death-after-birth")
        rows = pl.DataFrame(
            {
                "birth_date": [date(1950, 1, 1), date(1950, 1, 1), None],
                "death_date": [date(1949, 1, 1), None, date(2000, 1, 1)],
            }
        )

        assert [False, True, None] == rows.select(
            pl.sql_expr(rule.expression)
        ).to_series().to_list()

    def test_json_schema(self, contract: Contract) -> None:
        """The JSON Schema is one, and refuses a field that the contract does not have."""
        schema = contract.json_schema()

        jsonschema.Draft202012Validator.check_schema(schema)
        assert not schema["additionalProperties"]

    def test_json_row(self) -> None:
        """A row as it travels: codes from their list, decimals as text, open ends as null."""
        validator = jsonschema.Draft202012Validator(load("real_estate.unit").json_schema())
        row = {
            "unit_no": "370105012002GB00001F00010751",
            "location": "胜利街1号",
            "area_m2": "89.50",
            "use": "11",
            "nature": None,
            "changed_at": "2026-01-01T00:00:00Z",
        }

        assert validator.is_valid(row)
        assert not validator.is_valid(row | {"use": "??"})
        assert not validator.is_valid(row | {"area_m2": 89.5})
        assert not validator.is_valid(row | {"owner": "someone"})

    def test_sql_gives_the_contract_its_columns(self) -> None:
        """The build selects every field of the contract, in order."""
        for each in (load("real_estate_registration.ownership"), load("license.holding")):
            assert each.sql is not None
            final = each.sql[each.sql.rindex("\nSELECT\n") if "WITH" in each.sql else 0 :]
            places = [
                final.index(f"{name}\n") if f"{name}\n" in final else final.index(f"{name},")
                for name in each.columns
            ]
            assert sorted(places) == places


def _property(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        each for each in document["schema"][0]["properties"] if each["name"] == name
    )
    return found


def _custom(entry: dict[str, Any], name: str, value: Any) -> None:
    entry["customProperties"] = [
        each for each in entry["customProperties"] if each["property"] != name
    ] + [{"property": name, "value": value}]


class TestContractThatContradictsItself:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda d: d.update(id="population.people"), "calls itself"),
            (lambda d: d.update(surprise=1), "not well formed"),
            (lambda d: d.update(domain="people"), "domain"),
            (lambda d: d.update(slaProperties=[]), "freshness"),
            (lambda d: _custom(d, "kind", "curious"), "not well formed"),
            (lambda d: _custom(d, "subjects", {"cn.resident_id": "number"}), "subject column"),
            (lambda d: _custom(d, "parents", ["population.resident"]), "parents"),
            (lambda d: _custom(d, "sourceAuthority", {"code": "1" * 18, "name": "?"}), "credit"),
            (lambda d: _property(d, "name").pop("classification"), "level"),
            (lambda d: _property(d, "name").update(physicalType="blob"), "cannot carry"),
            (lambda d: _property(d, "name").update(name="sex"), "twice"),
            (lambda d: _property(d, "resident_id").update(required=False), "may be empty"),
            (lambda d: _custom(_property(d, "name"), "shareClass", "withheld"), "names its law"),
            (lambda d: _custom(_property(d, "name"), "withheldBy", "some law"), "names its law"),
            (lambda d: _custom(_property(d, "sex"), "codeList", "colours"), "code list"),
            (lambda d: _custom(_property(d, "sex"), "identifier", "tattoo"), "identifier kind"),
            (lambda d: _custom(_property(d, "sex"), "shareclass", "open"), "not well formed"),
            (lambda d: d["schema"][0]["quality"][0].update(severity="grave"), "severity"),
            (lambda d: d["schema"][0]["quality"][0].update(dimension="beauty"), "dimension"),
            (lambda d: d["schema"][0]["quality"][1].update(name="death-after-birth"), "one name"),
            (lambda d: _property(d, "name").update(logicalTypeOptions={"pattern": "x"}), "pattern"),
            (lambda d: _property(d, "name").update(logicalTypeOptions={"minimum": 1}), "minimum"),
            (lambda d: _property(d, "deceased").update(logicalTypeOptions={"maxLength": 1}), "len"),
            (
                lambda d: _property(d, "name").update(
                    logicalTypeOptions={"minLength": 9, "maxLength": 3}
                ),
                "least length",
            ),
            (
                lambda d: _property(d, "name")["customProperties"].append(
                    {"property": "shortName", "value": "XM"}
                ),
                "shortName is there twice",
            ),
        ],
    )
    def test_is_refused(self, altered: Any, change: Any, message: str) -> None:
        """A contract that cannot be kept does not load, and says in which file, and why."""
        with pytest.raises(Invalid, match=rf"resident\.yaml: .*{message}"):
            altered(change)
