"""Guards: when a share of a batch stops it, and when a batch is too small to have shares."""

from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.feeds import Guards
from exchange.libraries import guards
from exchange.libraries.merge import Difference

TENTH = Guards(deleted_at_most=Decimal("0.1"), quarantined_at_most=Decimal("0.1"))


class TestTooManyQuarantined:
    @pytest.mark.parametrize(
        ("quarantined", "landed", "held"),
        [
            (0, 0, False),
            (1, 4, False),  # one wrong row among the changes of a minute stops nobody
            (19, 19, False),
            (2, 20, False),
            (3, 20, True),
            (1001, 10_000, True),
        ],
    )
    def test_share_of_a_batch(self, quarantined: int, landed: int, held: bool) -> None:
        counts = {"quarantined": quarantined, "landed": landed}
        assert held is bool(guards.too_many_quarantined(TENTH, counts))

    def test_a_manifest_may_judge_from_the_first_row(self) -> None:
        strict = TENTH.model_copy(update={"judged_from": 1})
        counts = {"quarantined": 1, "landed": 4}
        assert ["1 of 4 rows are in quarantine, more than 10%"] == guards.too_many_quarantined(
            strict, counts
        )


class TestTooManyDeleted:
    def test_share_of_the_library(self) -> None:
        few = Difference(before=100, inserted=0, updated=0, deleted=10)
        many = Difference(before=100, inserted=0, updated=0, deleted=11)
        assert [] == guards.too_many_deleted(TENTH, few)
        assert ["11 of 100 rows would be deleted, more than 10%"] == guards.too_many_deleted(
            TENTH, many
        )
