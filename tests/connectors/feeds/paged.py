"""A collection in pages over real sockets, in every way of paging, and the manifest to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from connectors.feeds import Manifest
from connectors.feeds.http_pages import PagesFeed
from tests.connectors.feeds.serving import Answer, Asked, Reply, Served, said, serving

COLUMNS = ("NO", "XM")

PAGING: Mapping[str, dict[str, Any]] = {
    "number": {"by": "number", "size": 5},
    "number with total": {"by": "number", "size": 5, "total": "total", "echo": "page"},
    "number from nought": {"by": "number", "size": 5, "first": 0, "total": "total"},
    "offset": {
        **{"by": "number", "counts": "rows", "first": 0, "parameter": "offset", "size": 5},
        "total": "total",
    },
    "short page": {"by": "number", "size": 5, "ends": "short"},
    "missing page": {"by": "number", "size": 5, "ends": "missing"},
    "cursor": {"by": "cursor"},
    "cursor with more": {"by": "cursor", "more": "more", "total": "total"},
    "link header": {"by": "link"},
    "link in the body": {"by": "link", "next": "next_url", "total": "total"},
    "one": {"by": "one", "total": "total"},
}


def rows(count: int) -> list[dict[str, str]]:
    """Rows that are all different."""
    return [{"NO": str(number), "XM": f"姓名{number}"} for number in range(count)]


def manifest(paging: Mapping[str, Any] | None = None, **feed: Any) -> Manifest:
    """A manifest of the collection `/rows`."""
    said = {
        "kind": "http_pages",
        "base_url": "PAGED_URL",
        "path": "/rows",
        "records": "data.list",
        "paging": paging or PAGING["number"],
        **feed,
    }
    return Manifest.model_validate(
        {
            "source": "paged",
            "dataset": "credit.permit",
            "owner": "永康市行政审批局",
            "feed": said,
            "schedule": "1h",
            "columns": {name: name.lower() for name in COLUMNS},
            "guards": {"deleted_at_most": 1, "quarantined_at_most": 1},
        }
    )


@dataclass
class Collection:
    """Answers pages of `held` in the way that `paging` asks for."""

    held: Sequence[Mapping[str, Any]]
    paging: Mapping[str, Any]
    size: int = 5

    def __call__(self, asked: Asked) -> Reply:
        """One page."""
        start = self._start(asked.query)
        if self.paging.get("ends") == "missing" and start >= len(self.held) and start:
            return said({}, 404)
        size = len(self.held) if self.paging["by"] == "one" else self.size
        page, after = list(self.held[start : start + size]), start + size
        more = after < len(self.held)
        document = {
            "data": {"list": page},
            "total": len(self.held),
            "page": start // self.size + 1,
            "next": f"after:{after}" if more else None,
            "more": more,
            "next_url": f"/rows?at={after}" if more else "",
        }
        link = f'</rows?at={after}>; rel="next"' if more else '</rows>; rel="first"'
        return said(document, Link=link)

    def _start(self, query: Mapping[str, str]) -> int:
        if "at" in query:
            return int(query["at"])
        if "cursor" in query:
            return int(query["cursor"].removeprefix("after:"))
        if "offset" in query:
            return int(query["offset"])
        return (int(query.get("page", 1)) - int(self.paging.get("first", 1))) * self.size


@contextmanager
def feed_of(
    answer: Answer, source: Manifest, **secrets: str
) -> Iterator[tuple[PagesFeed, Served, list[float]]]:
    """A feed of a source that answers like `answer`; it notes its pauses and does not make them."""
    pauses: list[float] = []
    with serving(answer) as served:
        named = {"PAGED_URL": served.url, **secrets}
        with closing(PagesFeed(source, named, sleep=pauses.append)) as feed:
            yield feed, served, pauses


def read(answer: Answer, source: Manifest, **secrets: str) -> list[dict[str, Any]]:
    """Everything, from the first plan to the last page."""
    with feed_of(answer, source, **secrets) as (feed, _, _):
        window = feed.plan(None)
        assert window is not None
        return [row for batch in feed.read(window) for row in batch.to_pylist()]


def page_of(found: Sequence[Mapping[str, Any]], **rest: Any) -> Reply:
    """A page of these rows and whatever else."""
    return said({"data": {"list": list(found)}, **rest})


def in_turn(*replies: Reply | Callable[[Asked], Reply]) -> Answer:
    """Each question gets the next of `replies`."""
    left = iter(replies)

    def answer(asked: Asked) -> Reply:
        reply = next(left)
        return reply if isinstance(reply, Reply) else reply(asked)

    return answer


def raw(text: str) -> Reply:
    """A body as it stands."""
    json_header = {"Content-Type": "application/json"}
    return Reply(text.encode(), headers=json_header)
