"""Whether files load, and what they would do to a sample: tried in a folder that nobody reads.

What is proposed stands beside copies of the installation's own contracts and code lists, and the
rules that judge files there judge it; only then is anything written where it counts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from connectors.feeds import Manifest, load_manifest
from exchange.libraries import check
from exchange.sources.folders import Folders
from schemas.contract import load
from schemas.errors import Invalid


@dataclass(frozen=True)
class Tried:
    """What would become of the sample's rows."""

    rows: int
    quarantined: int
    duplicate: int
    reasons: Mapping[str, int]
    drift: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of rows that would be refused."""
        return self.quarantined / self.rows if self.rows else 0.0


def tried(folders: Folders, files: Mapping[Path, str], source: str, rows: pa.Table) -> Tried:
    """Load the files as they would be loaded, and judge the sample. Raises `Invalid`."""
    with tempfile.TemporaryDirectory() as name:
        trial = Folders(*(Path(name) / kind for kind in ("sources", "contracts", "codes")))
        for folder, beside in ((folders.contracts, trial.contracts), (folders.codes, trial.codes)):
            if folder.is_dir():
                shutil.copytree(folder, beside)
        for path, text in files.items():
            place = _beside(path, folders, trial)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
        with _standing_in(trial):
            try:
                return judged(rows, load_manifest(trial.manifest(source)))
            except Invalid as err:
                raise Invalid(err.message.replace(f"{name}/", "")) from None


def judged(rows: pa.Table, manifest: Manifest) -> Tried:
    """What would become of rows under a manifest and its contract."""
    contract = load(manifest.dataset)
    drift = check.drift(dict.fromkeys(rows.schema.names, "string"), None, manifest)
    if set(manifest.source_columns) - set(rows.schema.names):
        return Tried(rows.num_rows, 0, 0, {}, tuple(drift))
    plain = rows.replace_schema_metadata().cast(
        pa.schema([(name, pa.string()) for name in rows.schema.names])
    )
    _, tally = check.check(plain, contract, manifest, "snapshot")
    return Tried(
        tally.landed,
        tally.quarantined,
        tally.duplicate,
        dict(sorted(tally.reasons.items())),
        tuple(drift),
    )


def _beside(path: Path, folders: Folders, trial: Folders) -> Path:
    for name in ("sources", "contracts", "codes"):
        if path.is_relative_to(getattr(folders, name)):
            return Path(getattr(trial, name) / path.relative_to(getattr(folders, name)))
    raise ValueError(f"{path} is in none of our folders")


@contextmanager
def _standing_in(trial: Folders) -> Iterator[None]:
    """Let contracts and code lists be read from the trial's folders. Not for threads."""
    before = dict(os.environ)
    os.environ["YIZHAN_CONTRACTS"] = str(trial.contracts)
    os.environ["YIZHAN_CODES"] = str(trial.codes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
