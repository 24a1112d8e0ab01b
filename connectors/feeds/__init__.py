"""The door to feeds: load the manifests, open one, then plan, read and ask for totals.

    for manifest in load_manifests(folder):
        with closing(open_feed(manifest, os.environ)) as feed:
            window = feed.plan(cursor)

`secrets` maps the names that a manifest gives to their values; usually it is the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name

from connectors.feeds.manifest import (
    Guards,
    Manifest,
    Unit,
    load_manifest,
    load_manifests,
    read_manifests,
)
from connectors.feeds.source import (
    OPERATION,
    SEQUENCE,
    Feed,
    PermanentFailure,
    Totals,
    TransientFailure,
    Window,
)

__all__ = [
    "OPERATION",
    "SEQUENCE",
    "Feed",
    "Guards",
    "Manifest",
    "PermanentFailure",
    "Totals",
    "TransientFailure",
    "Unit",
    "Window",
    "load_manifest",
    "load_manifests",
    "open_feed",
    "read_manifests",
]


def open_feed(manifest: Manifest, secrets: Mapping[str, str]) -> Feed:
    """Open a source. Raises `PermanentFailure` when a name it needs is not among `secrets`."""
    # By name, so that whoever only lists manifests (a DAG file, many times a minute) loads no
    # driver.
    feed: Feed = resolve_name(manifest.feed.opened_by).opened(manifest, secrets)
    return feed
