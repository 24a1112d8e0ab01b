"""From a manifest to the place it names, and from what a place says to what a feed raises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from connectors.feeds.file_settings import FileDrop
from connectors.feeds.manifest import Manifest
from connectors.feeds.places import Folder, Place, PlaceAway, PlaceRefuses
from connectors.feeds.source import PermanentFailure, TransientFailure


def place_of(manifest: Manifest, settings: FileDrop, secrets: Mapping[str, str]) -> Place:
    """The folder, here or on a server. Raises `PermanentFailure` for a name that is not set."""
    folder = manifest.secret(secrets, settings.folder)
    if settings.sftp is None:
        return Folder(Path(folder))
    from connectors.feeds.sftp import Server, ServerFolder  # loads paramiko

    def told(name: str | None) -> str | None:
        return None if name is None else manifest.secret(secrets, name)

    sftp = settings.sftp
    with reached(manifest):
        server = Server.of(
            host=manifest.secret(secrets, sftp.host),
            user=manifest.secret(secrets, sftp.user),
            host_key=manifest.secret(secrets, sftp.host_key),
            password=told(sftp.password),
            key=told(sftp.key),
            passphrase=told(sftp.passphrase),
        )
    return ServerFolder(server, folder)


@contextmanager
def reached(manifest: Manifest) -> Iterator[None]:
    """What a place says, as this source's failure."""
    try:
        yield
    except PlaceAway as away:
        raise TransientFailure(f"{manifest.source}: {away.what}") from None
    except PlaceRefuses as refusal:
        raise PermanentFailure(
            f"{manifest.source}: {refusal.what}. Ask {manifest.owner}, or repair the manifest."
        ) from None
