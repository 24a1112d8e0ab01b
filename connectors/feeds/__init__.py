"""Bulk feeds: how a whole dataset, and then its changes, come out of a department's system."""

from connectors.feeds.feed import (
    OPERATION,
    SEQUENCE,
    Feed,
    Guards,
    Manifest,
    PermanentFailure,
    Totals,
    TransientFailure,
    Unit,
    Window,
    load_manifest,
    load_manifests,
    open_feed,
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
]
