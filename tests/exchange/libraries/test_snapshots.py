"""A snapshot held against the last one: the library is what a whole comparison would make of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st

from exchange.libraries import journey, landing, snapshots
from exchange.libraries.batches import State
from exchange.libraries.journey import Outcome
from tests.conftest import LONG
from tests.exchange.libraries.conftest import ADA, BEN, CAI, City, Row, resident

KEYS = (ADA, BEN, CAI)
HELD = "SELECT resident_id, name FROM library.population_resident ORDER BY 1"
REFUSED = "SELECT count(*) FROM library.quarantine WHERE source = 'residents' AND state = 'open'"


@pytest.fixture
def unguarded(city_of: City) -> City:
    """A city whose batches no guard holds: three people are too few for shares."""
    path = city_of.settings.sources / "residents.yaml"
    manifest = yaml.safe_load(path.read_text("utf-8"))
    manifest["guards"] = {"deleted_at_most": 1, "quarantined_at_most": 1}
    path.write_text(yaml.safe_dump(manifest, allow_unicode=True))
    return city_of


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[snapshots.Changes]:
    """What the comparisons of landed files found, as they happen."""
    found: list[snapshots.Changes] = []
    compare = snapshots.compare

    def noted(*given: object) -> snapshots.Changes:
        found.append(compare(*given))  # type: ignore[arg-type]  # handed on as it came
        return found[-1]

    monkeypatch.setattr(snapshots, "compare", noted)
    return found


def collect(city: City, end: str, rows: Iterable[Row]) -> Outcome:
    city["residents"].sends(end, list(rows))
    outcome = journey.collect(city.settings, "residents")
    assert outcome is not None
    assert State.PUBLISHED is outcome.state
    return outcome


class TestCompared:
    def test_only_what_differs_is_judged(
        self, unguarded: City, compared: list[snapshots.Changes]
    ) -> None:
        """A row that came before is neither judged nor sent to the database again."""
        collect(unguarded, "1", [resident(ADA), resident(BEN), resident(CAI)])
        outcome = collect(unguarded, "2", [resident(ADA), resident(BEN, "改")])

        (changes,) = compared
        assert [2] == changes.places.to_list()
        assert [CAI] == changes.gone["resident_id"].to_list()
        counts = outcome.counts
        assert (1, 0, 1, 1) == tuple(
            counts[place] for place in ("updated", "inserted", "deleted", "unchanged")
        )
        assert [(ADA, "王小明"), (BEN, "改")] == unguarded.rows(HELD)

    def test_another_spelling_is_no_removal(self, unguarded: City) -> None:
        """The old spelling of a key is gone, the key is not."""
        collect(unguarded, "1", [resident(ADA)])
        outcome = collect(unguarded, "2", [resident(ADA.lower())])

        assert (0, 0) == (outcome.counts["deleted"], outcome.counts["inserted"])
        assert [(ADA, "王小明")] == unguarded.rows(HELD)

    def test_one_of_two_spellings_may_go(self, unguarded: City) -> None:
        """The other one still holds the key."""
        collect(unguarded, "1", [resident(ADA), resident(ADA.lower())])
        collect(unguarded, "2", [resident(ADA)])

        assert [(ADA, "王小明")] == unguarded.rows(HELD)

    def test_a_contradiction_takes_the_unchanged_row_with_it(self, unguarded: City) -> None:
        """Both stay out, the library keeps what it held; when one goes, the other enters."""
        collect(unguarded, "1", [resident(ADA)])
        collect(unguarded, "2", [resident(ADA), resident(ADA, "另")])
        assert [(2,)] == unguarded.rows(REFUSED)
        assert [(ADA, "王小明")] == unguarded.rows(HELD)

        collect(unguarded, "3", [resident(ADA, "另")])
        assert [(0,)] == unguarded.rows(REFUSED)
        assert [(ADA, "另")] == unguarded.rows(HELD)

    def test_a_row_that_stays_wrong_stays_refused(self, unguarded: City) -> None:
        """It is not judged again, and counted all the same."""
        wrong = resident(BEN, XBDM="?")
        collect(unguarded, "1", [resident(ADA), wrong])
        outcome = collect(unguarded, "2", [resident(ADA, "改"), wrong])

        assert 1 == outcome.counts["quarantined"]
        assert [(1,)] == unguarded.rows(REFUSED)


class TestLookedAtWhole:
    def test_after_another_manifest(
        self, unguarded: City, compared: list[snapshots.Changes]
    ) -> None:
        """What was judged by other rules is judged again."""
        collect(unguarded, "1", [resident(ADA), resident(BEN, XBDM="M")])
        path = unguarded.settings.sources / "residents.yaml"
        manifest = yaml.safe_load(path.read_text("utf-8"))
        manifest["crosswalk"]["sex"]["M"] = "1"
        path.write_text(yaml.safe_dump(manifest, allow_unicode=True))
        collect(unguarded, "2", [resident(ADA), resident(BEN, XBDM="M")])

        assert [] == compared
        assert [ADA, BEN] == sorted(number for number, _ in unguarded.rows(HELD))

    def test_when_the_last_file_is_gone(
        self, unguarded: City, compared: list[snapshots.Changes]
    ) -> None:
        """Nothing to hold it against: the database compares."""
        collect(unguarded, "1", [resident(ADA), resident(BEN)])
        for file in (unguarded.settings.landing / "residents").iterdir():
            file.unlink()
        outcome = collect(unguarded, "2", [resident(ADA)])

        assert [] == compared
        assert 1 == outcome.counts["deleted"]

    def test_when_something_else_was_published_since(
        self, unguarded: City, compared: list[snapshots.Changes]
    ) -> None:
        """The library is not what the last snapshot made of it."""
        collect(unguarded, "1", [resident(ADA)])
        unguarded["residents"].sends("2", [resident(BEN)], "changes")
        journey.collect(unguarded.settings, "residents")
        outcome = collect(unguarded, "3", [resident(ADA)])

        assert [] == compared
        assert 1 == outcome.counts["deleted"]


ROWS = st.lists(
    st.tuples(
        st.sampled_from([*KEYS, ADA.lower()]), st.sampled_from("甲乙"), st.sampled_from("男男男?")
    ),
    max_size=6,
)


class TestWhateverComes:
    @given(sent=st.lists(ROWS, min_size=2, max_size=4))
    @example(sent=[[(ADA, "甲", "?")], [(ADA, "甲", "?")] * 2, [(ADA, "甲", "?")]])
    @settings(
        max_examples=60 if LONG else 8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        phases=[Phase.explicit, Phase.generate],  # each step is a whole load: shrinking takes hours
    )
    def test_the_library_is_what_was_said(
        self, unguarded: City, sent: list[list[tuple[str, str, str]]]
    ) -> None:
        """In two chunks of any batch, whichever rows repeat, contradict or are wrong."""
        note(sent)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(landing, "CHUNK", 3)
            held = dict(unguarded.rows(HELD))
            for rows in sent:
                end = str(len(unguarded["residents"].windows) + 1)
                outcome = collect(unguarded, end, [resident(k, n, XBDM=s) for k, n, s in rows])
                held = dict(expected(held, rows))

                assert held == dict(unguarded.rows(HELD))
                assert [(outcome.counts["quarantined"],)] == unguarded.rows(REFUSED)


def expected(
    held: Mapping[str, str], rows: list[tuple[str, str, str]]
) -> Iterator[tuple[str, str]]:
    """The oracle: a key holds its one version; where that is not clear, what it held before."""
    for key in KEYS:
        said = [(name, sex) for number, name, sex in rows if number.upper() == key]
        clear = {name for name, _ in said}
        if not said:
            continue
        if len(clear) == 1 and all(sex == "男" for _, sex in said):
            yield key, clear.pop()
        elif key in held:
            yield key, held[key]
