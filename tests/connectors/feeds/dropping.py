"""A department that drops files in whatever form its manifest agrees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.feeds import Manifest

FOLDER = "YIZHAN_SOURCE_TRIAL_FOLDER"
CSV = "ID,NAME\n1,一\n2,二\n"


def manifest(**feed: Any) -> Manifest:
    """A source of two columns with these settings of its feed."""
    settings = {"kind": "file_drop", "folder": FOLDER, "encoding": "utf-8", **feed}
    return Manifest.model_validate(
        {
            "source": "trial",
            "dataset": "trial.thing",
            "owner": "某某局",
            "feed": {key: value for key, value in settings.items() if value is not None},
            "schedule": "1m",
            "columns": {"ID": "id", "NAME": "name"},
            "guards": {"deleted_at_most": 0, "quarantined_at_most": 0},
        }
    )


OK: Mapping[str, Any] = {"file": "{name}.ok", "form": "flag"}
TOLD: Mapping[str, Any] = {
    "file": "{name}.json",
    "form": "json",
    "rows": "count",
    "digest": "md5",
    "name": "file",
}


def drop(folder: Path, name: str, content: str | bytes = CSV, *, rows: int | None = None) -> Path:
    """Put a file there: with a flag, or with a JSON control file where `rows` are said."""
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(data)
    if rows is None:
        (folder / f"{name}.ok").touch()
    else:
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        told = {"FILE": name, "Count": rows, "MD5": digest.upper()}
        (folder / f"{name}.json").write_text(json.dumps(told))
    return path
