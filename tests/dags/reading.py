"""Run in a process of its own: read every DAG file under an audit hook and say what happened.

Prints JSON: each DAG serialised, the files that were opened while the DAG files were read, and
what must not happen at all meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FORBIDDEN = ("socket.connect", "subprocess.Popen", "os.system", "os.fork", "os.exec")
opened, forbidden, watching = set[str](), set[str](), [False]


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what is opened while DAG files are read."""
    if not watching[0]:
        return
    if event in FORBIDDEN:
        forbidden.add(f"{event} {arguments[-1]}")
    elif event == "open" and isinstance(arguments[0], str):
        path, _, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR):
            forbidden.add(f"writes {path}")
        elif not path.endswith((".py", ".pyc", ".so", ".airflowignore")):
            opened.add(path)


def main(folder: Path) -> None:
    """Read, serialise, print."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    import connectors.feeds.manifest
    import schemas.contract_files

    assert connectors.feeds.manifest
    assert schemas.contract_files
    sys.addaudithook(watch)
    watching[0] = True
    bag = DagBag(folder)
    watching[0] = False
    # By sorted keys, as Airflow itself does before it decides whether a DAG has a new version.
    dags = {
        name: json.dumps(DagSerialization.to_dict(dag), sort_keys=True)
        for name, dag in bag.dags.items()
    }
    print(json.dumps({"dags": dags, "opened": sorted(opened), "forbidden": sorted(forbidden)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
