"""The manifests that DAGs are made from. One that cannot be read leaves the others alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from airflow.sdk import get_parsing_context

from connectors.feeds import Manifest, read_manifests
from schemas.contract import load as contract_of
from schemas.errors import Invalid

Read = tuple[tuple[Manifest, ...], Mapping[str, str]]


def dag_id(source: str) -> str:
    """What the DAG of a source, or of the manifest file of its name, is called."""
    return f"collect__{source.replace('-', '_')}"


def read() -> Read:
    """The manifests by source, and by file why each that is none is not.

    A task asks for its own DAG only, and so reads one file instead of all.
    """
    paths = sorted(_folder().glob("*.yaml"))
    asked = get_parsing_context().dag_id
    own = _read(path for path in paths if dag_id(path.stem) == asked)
    return own if asked in map(dag_id, (each.source for each in own[0])) else _read(paths)


def _folder() -> Path:
    """As `exchange.settings` finds it, without asking for a database."""
    home = Path(os.environ.get("YIZHAN_HOME", ".yizhan"))
    return Path(os.environ.get("YIZHAN_SOURCES", home / "sources"))


def _read(paths: Iterable[Path]) -> Read:
    manifests, refused = read_manifests(paths)
    fed, unknown = list[Manifest](), dict[str, str]()
    for manifest in manifests:
        try:
            contract_of(manifest.dataset)
            fed.append(manifest)
        except Invalid as err:
            unknown[manifest.source] = err.message
    return tuple(fed), {**refused, **unknown}
