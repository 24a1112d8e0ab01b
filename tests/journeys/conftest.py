"""One whole demo for all journeys: a small city, Airflow, the hub, the signer, everything real.

It is shared: whoever breaks something here to see what happens mends it before the test ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console

from exchange.demo import chapters, sale
from exchange.demo.running import Demo, running
from exchange.demo.story import Story
from tests.journeys.size import LICENSES, PEOPLE, SEED


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, up and running in a home of its own; its libraries are loaded."""
    home = tmp_path_factory.mktemp("demo")
    with running(home, people=PEOPLE, licenses=LICENSES, seed=SEED, say=print) as demo:
        yield demo


@pytest.fixture(scope="package")
def told(demo: Demo) -> Story:
    """The story of the demo, told to its end."""
    story = Story(demo.settings.home, Console())
    chapters.collected(demo, story)
    chapters.sealed(demo, story, LICENSES)
    chapters.asked(demo, story)
    chapters.resolved(demo, story)
    chapters.verified(demo, story)
    return story


@pytest.fixture(scope="package")
def sold(demo: Demo, told: Story) -> Story:
    """A house sold after the story, and its consequences seen everywhere."""
    story = Story(demo.settings.home, Console(), goes_on=True)
    sale.watch(demo, story)
    return story
