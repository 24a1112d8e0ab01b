"""Where an installation's own files are: manifests, contracts, code lists. Needs no database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from schemas import installation


@dataclass(frozen=True)
class Folders:
    """The folders that `yizhan source new` writes to."""

    sources: Path
    contracts: Path
    codes: Path

    @classmethod
    def found(cls) -> Folders:
        """Those of this environment, as `exchange.settings` and the DAGs find them."""
        home = Path(os.environ.get("YIZHAN_HOME", ".yizhan"))
        return cls(
            sources=Path(os.environ.get("YIZHAN_SOURCES", home / "sources")),
            contracts=installation.folder("contracts"),
            codes=installation.folder("codes"),
        )

    def manifest(self, source: str) -> Path:
        """The file of a source."""
        return self.sources / f"{source}.yaml"

    def contract(self, dataset: str) -> Path:
        """The file of a dataset of the installation's own."""
        library, name = dataset.split(".")
        return self.contracts / library / f"{name}.yaml"

    def code_list(self, name: str) -> Path:
        """The file of a code list of the installation's own."""
        return self.codes / f"{name}.yaml"
