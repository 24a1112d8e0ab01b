"""The lint: each thing that audits find has a resource that has it, and the usual one has none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exchange.catalogue.lint import Finding, Severity, Surroundings, cites, errors, lint
from exchange.catalogue.metadata import Added, drafted
from schemas import contract, departments
from schemas.grant import Form
from schemas.resource import Metadata, read

AT = datetime(2026, 11, 22, 4, tzinfo=UTC)
RESIDENTS = contract.load("population.resident")
KNOWN = Surroundings(
    departments.tree(), frozenset({"police-population"}), RESIDENTS, AT - timedelta(minutes=30)
)
GOOD = drafted(RESIDENTS, Added(system="police-population", condition="依法履职需要"))
GOOD = replace(
    GOOD,
    fields=tuple(
        replace(each, forms=(Form.COMPARE,)) if each.classification == "S4" else each
        for each in GOOD.fields
    ),
)


def changed(name: str, **changes: Any) -> Metadata:
    """The good resource with one field changed."""
    fields = tuple(replace(each, **changes) if each.name == name else each for each in GOOD.fields)
    return replace(GOOD, fields=fields)


FAULTS: dict[str, tuple[Metadata, Surroundings, str]] = {
    "no-owner": (replace(GOOD, provider_code=""), KNOWN, GOOD.code),
    "owner-ended": (replace(GOOD, provider_code="11330784MB9000322C"), KNOWN, GOOD.code),
    "no-update-cycle": (replace(GOOD, cycle=None), KNOWN, GOOD.code),
    "no-summary": (replace(GOOD, summary=" "), KNOWN, GOOD.code),
    "no-fields": (replace(GOOD, fields=()), KNOWN, GOOD.code),
    "no-system": (replace(GOOD, system=""), KNOWN, GOOD.code),
    "system-unknown": (replace(GOOD, system="x"), KNOWN, GOOD.code),
    "contract-moved": (changed("name", classification="S1"), KNOWN, GOOD.code),
    "no-label": (changed("phone", label_zh=""), KNOWN, f"{GOOD.code}.phone"),
    "withheld-without-law": (
        changed("phone", share_class="withheld", withheld_by="内部规定", forms=()),
        KNOWN,
        f"{GOOD.code}.phone",
    ),
    "withheld-given": (
        changed("phone", share_class="withheld", withheld_by="《档案法》第一条"),
        KNOWN,
        f"{GOOD.code}.phone",
    ),
    "no-condition": (changed("phone", condition=""), KNOWN, f"{GOOD.code}.phone"),
    "sensitive-plain": (
        changed("deceased", forms=(Form.PLAIN,)),
        KNOWN,
        f"{GOOD.code}.deceased",
    ),
    "never-loaded": (GOOD, replace(KNOWN, loaded_at=None), GOOD.code),
    "stale": (GOOD, replace(KNOWN, loaded_at=AT - timedelta(hours=3)), GOOD.code),
}


class TestLint:
    def test_the_usual_resource_is_clean(self) -> None:
        """Nothing is found where nothing is wrong."""
        assert [] == lint(GOOD, KNOWN, AT)

    @pytest.mark.parametrize("rule", FAULTS)
    def test_each_fault_is_found_where_it_is(self, rule: str) -> None:
        """By its rule and place, with a word on what to do."""
        said, known, where = FAULTS[rule]

        found = {(each.rule, each.where): each for each in lint(said, known, AT)}

        assert (rule, where) in found
        assert found[rule, where].says

    def test_an_ended_owner_names_who_took_over(self) -> None:
        """Market regulation came after industry and commerce."""
        said, known, _ = FAULTS["owner-ended"]

        assert any("永康市市场监督管理局" in each.says for each in lint(said, known, AT))

    def test_errors_come_first(self) -> None:
        """And only they keep a version from being published."""
        found = lint(replace(changed("phone", condition=""), cycle=None), KNOWN, AT)

        assert found[0].severity is Severity.ERROR
        assert ["no-update-cycle"] == [each.rule for each in errors(found)]
        assert isinstance(found[0], Finding)

    @pytest.mark.parametrize(
        ("law", "is_one"),
        [
            ("《居民身份证法》第十九条", True),
            ("国发〔2016〕51号", True),
            ("领导要求", False),
            ("", False),
        ],
    )
    def test_a_law_is_named(self, law: str, is_one: bool) -> None:
        """A wish is no law."""
        assert is_one is cites(law)


class TestMetadata:
    @pytest.mark.parametrize("described", contract.all_contracts(), ids=lambda each: each.id)
    def test_every_contract_gives_metadata_that_reads_back(
        self, described: contract.Contract
    ) -> None:
        """What is published can be read again, byte for byte."""
        said = drafted(described)

        assert said == read(json.loads(said.text()))
        assert all(each.forms == () for each in said.fields if each.share_class == "withheld")
