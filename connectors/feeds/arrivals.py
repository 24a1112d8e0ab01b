"""Which of the files in a drop folder are there whole, and what their control files say of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import PurePosixPath

from connectors.feeds.controls import LONGEST, Said, control_name, digest_of, read_control
from connectors.feeds.drops import CHANGES, WHOLE, Drop, Naming
from connectors.feeds.file_settings import Control, FileDrop, Settle, pause
from connectors.feeds.manifest import Manifest
from connectors.feeds.places import Lying, Opened, Place, PlaceAway

LOOK_AGAIN = 1.0
"""Seconds between two looks at a file that no control file vouches for."""

Clock = Callable[[], float]


def namings_of(settings: FileDrop) -> tuple[Naming, ...]:
    """How this department names whole files and increments."""
    daily = settings.days == "daily"
    kinds = zip(settings.patterns, (WHOLE, CHANGES), strict=True)
    return tuple(Naming(pattern, kind, daily) for pattern, kind in kinds if pattern)


class Arrivals:
    """The files of one place, as one manifest names them. `notices` counts those that wait."""

    def __init__(
        self, manifest: Manifest, settings: FileDrop, place: Place, clock: Clock = time.time
    ) -> None:
        self.namings = namings_of(settings)
        self.notices: dict[str, int] = {}
        self._manifest = manifest
        self._settings = settings
        self._place = place
        self._clock = clock
        self._said: dict[str, Said] = {}

    def ready(self) -> list[Drop]:
        """The files that are there whole, in their order."""
        lying = [one for one in self._place.files() if not one.name.startswith(".")]
        drops = [(drop, one) for one in lying if (drop := self.recognised(one.name))]
        control = self._settings.control
        if isinstance(control, Settle):
            whole, waiting = self._settled(drops, control), "files_settling"
        else:
            whole, waiting = _vouched(drops, control, lying), "files_without_control"
        self.notices[waiting] = len(drops) - len(whole)
        self.notices["files_unknown"] = sum(self._is_unknown(one.name) for one in lying)
        return sorted(whole)

    def recognised(self, name: str) -> Drop | None:
        """What a file's name says; None when it is none of this source."""
        return next((drop for naming in self.namings if (drop := naming.drop(name))), None)

    def still(self, drop: Drop) -> bool:
        """Whether a file that only its age vouches for stays as it is while it is looked at."""
        control = self._settings.control
        if not isinstance(control, Settle):
            return True
        before = self._lying(drop)
        time.sleep(min(LOOK_AGAIN, pause(control.settle).total_seconds()))
        return before is not None and before == self._lying(drop)

    def control(self, drop: Drop) -> Said:
        """What the control file says. Raises `PermanentFailure` when it is none, or another's."""
        control = self._settings.control
        if isinstance(control, Settle):
            return Said()
        if drop.name not in self._said:
            self._said[drop.name] = self._read_control(drop, control)
        return self._said[drop.name]

    def digest(self, opened: Opened) -> str:
        """The digest by the department's algorithm, or by SHA-256 where it has none."""
        return digest_of(opened.file, self.algorithm or "sha256")

    def put_away(self, drop: Drop, folder: str) -> None:
        """Move a file and its control file to a folder below. Raises `PlaceAway`."""
        self._place.move(drop.name, folder)
        if isinstance(control := self._settings.control, Control):
            self._place.move(control_name(control, drop.name, drop.stem), folder)

    @property
    def algorithm(self) -> str | None:
        """The algorithm of the control files' digests."""
        control = self._settings.control
        return control.hashed_by if isinstance(control, Control) else None

    def _read_control(self, drop: Drop, control: Control) -> Said:
        name = control_name(control, drop.name, drop.stem)
        content = self._small(name)
        try:
            said = read_control(content, control, drop.name)
        except ValueError:
            raise self._manifest.wrong(f"{name} is no control file") from None
        if said.name is not None and PurePosixPath(said.name).name != drop.name:
            raise self._manifest.wrong(f"the control file of {drop.name} is about another file")
        return said

    def _small(self, name: str) -> bytes:
        try:
            return self._place.small(name, LONGEST)
        except PlaceAway:
            if not self._settings.done:
                raise
            return self._place.small(f"{self._settings.done}/{name}", LONGEST)

    def _settled(self, drops: list[tuple[Drop, Lying]], control: Settle) -> list[Drop]:
        before = self._clock() - pause(control.settle).total_seconds()
        return [drop for drop, one in drops if one.modified <= before and one.size]

    def _lying(self, drop: Drop) -> Lying | None:
        return next((one for one in self._place.files() if one.name == drop.name), None)

    def _is_unknown(self, name: str) -> bool:
        """Whether a name begins like ours and is not: others may use the same folder."""
        heads = (naming.pattern.partition("{")[0] for naming in self.namings)
        if not any(head and name.startswith(head) for head in heads):
            return False
        control = self._settings.control
        if isinstance(control, Control):
            before, _, behind = re.split(r"(\{\w+\})", control.file)
            if name.startswith(before) and name.endswith(behind) and behind + before:
                return False
        return self.recognised(name) is None


def _vouched(drops: list[tuple[Drop, Lying]], control: Control, lying: list[Lying]) -> list[Drop]:
    """Those whose control file is there; one without a byte is still being written."""
    written = {one.name for one in lying if one.size or control.form == "flag"}
    return [drop for drop, _ in drops if control_name(control, drop.name, drop.stem) in written]
