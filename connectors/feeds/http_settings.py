"""How interfaces over HTTP are read: the settings of every HTTP feed."""

from __future__ import annotations

from typing import ClassVar, Literal

from connectors.feeds.feed_settings import EnvName, FeedSettings


class HttpPages(FeedSettings):
    """A collection of an HTTP API with tokens, pages and a rate limit."""

    opened_by: ClassVar[str] = "connectors.feeds.http_pages:PagesFeed"

    kind: Literal["http_pages"]
    base_url: EnvName
    client_id: EnvName
    client_secret: EnvName
    collection: str


HttpSettings = HttpPages
