"""The bundle as data: it says what the published lists say, and holds together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.intake.loading import FOLDER, bundle, load
from connectors.intake.predicates import CATALOGUE
from connectors.intake.words import WHYS, Status, Why
from schemas.errors import Invalid, NotFound
from tests.connectors.intake.holdings import BUNDLE

COMPANY_ROWS = {"company", None}


def rows_of_a_company() -> list[str]:
    """The rows that are not the individual's variant."""
    return [row.id for row in BUNDLE.rows if not row.id.startswith("I")]


class TestPublishedLists:
    def test_thirty_one_rows_with_an_agent(self) -> None:
        """27 printed rows and 4 for an agent."""
        rows = rows_of_a_company()

        assert 31 == len(rows)
        assert 27 == len([row for row in rows if not row.startswith("G")])

    @pytest.mark.parametrize(
        ("item", "count"), [("A", 6), ("B", 4), ("C", 4), ("D", 5), ("E", 7), ("V", 1)]
    )
    def test_rows_of_each_item(self, item: str, count: int) -> None:
        """Each item has as many rows as its guide prints."""
        assert count == len([row for row in rows_of_a_company() if row[0] == item])

    def test_six_forms_and_one_row_that_no_guide_confirms(self) -> None:
        """The forms are counted apart; the environmental form is the only row still to check."""
        rows = [row for row in BUNDLE.rows if row.id in rows_of_a_company()]

        assert 6 == len([row for row in rows if row.channel == "form"])
        assert ["V1"] == [row.id for row in rows if row.label == "to-check"]

    def test_registration_feeds_the_licences(self) -> None:
        """A comes first and feeds B, C, D and E."""
        assert ["B", "C", "D", "E"] == [item.id for item in BUNDLE.items if item.after == ("A",)]

    def test_every_row_is_wanted_for_something(self) -> None:
        """No row is forgotten in the merge."""
        assert [] == [row.id for row in BUNDLE.rows if not row.materials and not row.people]


class TestLoading:
    def test_unknown_bundle(self) -> None:
        """A bundle that does not exist is not found."""
        with pytest.raises(NotFound, match="no such bundle"):
            bundle("open-circus@2026-10")

    @pytest.mark.parametrize(
        ("part", "old", "new", "said"),
        [
            ("rules", "predicate: person_alive", "predicate: person_rich", "person_rich"),
            ("rules", "license: business-license", "license: fishing", "fishing"),
            ("rules", "earlier: A", "earlier: Z", "'Z'"),
            ("rules", "generated: articles", "generated: poem", "poem"),
            ("rules", "attribute: housing.lease", "attribute: rumour", "rumour"),
            ("rules", "- material: M-LEASE", "- material: M-LUCK", "M-LUCK"),
            ("rows", "materials: [M-ARTICLES]", "materials: [M-LUCK]", "M-LUCK"),
            ("rows", "people: [shareholder]", "people: [cook]", "cook"),
            ("materials", "{answer: tenure,", "{answer: weather,", "weather"),
            ("materials", "  primary: false", "  primary: maybe", "primary"),
            ("form", "rows: [V1]", "rows: [X9]", "X9"),
            ("form", "type: integer", "type: guess", "type"),
            ("form", "codes: entity_type", "codes: colours", "colours"),
            ("bundle", "threshold: fire-check", "threshold: water", "water"),
            ("bundle", "adopted: zhuzhou", "adopted: atlantis", "adopted"),
        ],
    )
    def test_a_bundle_that_does_not_hold_together_is_refused(
        self, tmp_path: Path, part: str, old: str, new: str, said: str
    ) -> None:
        """Whatever a template names must be defined; the error says what is not."""
        broken = tmp_path / "open-restaurant"
        shutil.copytree(FOLDER / "open-restaurant", broken)
        path = broken / f"{part}.yaml"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")

        with pytest.raises(Invalid, match=said):
            load(broken)


class TestVocabulary:
    def test_every_reason_has_its_status(self) -> None:
        """No status without reasons, no reason without a status, none with two."""
        assert set(Status) == set(WHYS)
        assert sorted(Why) == sorted(why for whys in WHYS.values() for why in whys)

    def test_the_catalogue_is_what_rules_ask(self) -> None:
        """No predicate is there that no rule asks."""
        asked = {getattr(proof, "predicate", None) for _, _, proof in BUNDLE.proofs()} - {None}

        assert set(CATALOGUE) == asked
