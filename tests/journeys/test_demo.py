"""The whole way, once: what `make demo` tells must be true, and a sale must arrive everywhere."""

from __future__ import annotations

from exchange.demo.story import Story


class TestStory:
    def test_every_line_that_must_be_true_is(self, told: Story) -> None:
        """Counts equal the generator's truth, Airflow ran it, the revoked license is refused."""
        assert [] == told.failures
        assert 5 == len(told.chapters)


class TestSale:
    def test_a_sale_arrives_everywhere(self, sold: Story) -> None:
        """From the clerk's entry to the buyer's case, with nothing but the entry made by hand."""
        assert [] == [line for line in sold.failures if "minute" not in line]
