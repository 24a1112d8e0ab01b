"""A drop folder on a real SFTP server: whom it is, what is fetched, and lines that break."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import paramiko
import pyarrow as pa
import pytest

from connectors.feeds import Feed, Manifest, PermanentFailure, TransientFailure, open_feed
from connectors.feeds.places import Place, PlaceAway, PlaceRefuses
from connectors.feeds.returns import write_return
from connectors.feeds.sftp import Server, ServerFolder, fingerprint
from tests.connectors.feeds.dropping import CSV, FOLDER, TOLD, drop, manifest
from tests.connectors.feeds.pulling import pull
from tests.connectors.feeds.sftp_server import PASSWORD, USER, SftpServer

NAMES = {
    "host": "YIZHAN_SOURCE_TRIAL_HOST",
    "user": "YIZHAN_SOURCE_TRIAL_USER",
    "host_key": "YIZHAN_SOURCE_TRIAL_HOST_KEY",
    "password": "YIZHAN_SOURCE_TRIAL_PASSWORD",
}
TWO = [{"ID": "1", "NAME": "一"}, {"ID": "2", "NAME": "二"}]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    (tmp_path / "drop").mkdir()
    server = SftpServer(tmp_path)
    yield server
    server.close()


@pytest.fixture
def folder(server: SftpServer) -> Path:
    return server.root / "drop"


def secrets(server: SftpServer, **others: str) -> dict[str, str]:
    told = {
        "host": f"127.0.0.1:{server.port}",
        "user": USER,
        "host_key": server.known_as,
        "password": PASSWORD,
        **others,
    }
    return {FOLDER: "/drop", **{NAMES[key]: value for key, value in told.items()}}


def trial(**feed: Any) -> Manifest:
    return manifest(**{"whole": "t_{date}.csv", "control": TOLD, "sftp": NAMES, **feed})


def opened(server: SftpServer, **feed: Any) -> Feed:
    return open_feed(trial(**feed), secrets(server))


def place(server: SftpServer, folder: str = "/drop", **others: Any) -> ServerFolder:
    login = {"user": USER, "password": PASSWORD, "host_key": server.known_as, **others}
    return ServerFolder(Server.of(host=f"127.0.0.1:{server.port}", **login), folder)


class TestPulling:
    def test_rows_totals_and_done(self, server: SftpServer, folder: Path) -> None:
        """As from a folder here: read by its control file, then moved when the ledger has it."""
        drop(folder, "t_20260105.csv", rows=2)

        pulled = pull(opened(server), ("ID", "NAME"))
        with closing(opened(server, done="done")) as again:
            assert again.plan(pulled.window.end) is None

        assert TWO == pulled.rows
        assert [] == list(folder.glob("t_*"))
        assert ["t_20260105.csv", "t_20260105.csv.json"] == sorted(
            path.name for path in (folder / "done").iterdir()
        )

    def test_return_files(self, server: SftpServer, folder: Path) -> None:
        rows = pa.table({"原因": ["号码不对"]})

        assert "returns/a.csv" == write_return(trial(), secrets(server), "a", rows)

        assert "\ufeff" + '"原因"\n"号码不对"\n' == (folder / "returns/a.csv").read_text("utf-8")
        with pytest.raises(PermanentFailure, match="already has"):
            write_return(trial(), secrets(server), "a", rows)

    def test_nothing_of_it_stays(
        self, server: SftpServer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was fetched has no name on our disk, even while it is read."""
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        drop(folder, "t_20260105.csv", CSV, rows=2)
        with closing(opened(server)) as feed:
            window = feed.plan(None)
            assert window is not None
            batches = feed.read(window)
            next(batches)

            assert [] == list((tmp_path / "tmp").iterdir())

    def test_links_are_not_followed(self, server: SftpServer, folder: Path) -> None:
        (folder / "t_20260105.csv").symlink_to("/etc/passwd")
        (folder / "t_20260105.csv.json").write_text("{}")

        with closing(opened(server)) as feed:
            assert feed.plan(None) is None


class TestWhoItIs:
    def test_another_host_key_is_never_accepted(self, server: SftpServer) -> None:
        """Not the first time either; the password is not even sent."""
        other = paramiko.ECDSAKey.generate()
        pinned = f"x {other.get_name()} {other.get_base64()}"
        feed = open_feed(trial(), secrets(server, host_key=pinned))

        with pytest.raises(PermanentFailure, match="another host key than the agreed one"):
            feed.plan(None)

    def test_a_fingerprint_will_do(self, server: SftpServer) -> None:
        told = f"SHA256:AAAA {fingerprint(server.host_key.asbytes())}"

        with closing(place(server, host_key=told)) as there:
            assert [] == there.files()

    def test_the_fingerprint_is_openssh_s(self) -> None:
        key = paramiko.ECDSAKey.generate()

        assert key.fingerprint == fingerprint(key.asbytes())

    @pytest.mark.parametrize("told", ["", "# nothing", "host ssh-ed25519", "host ssh-ed25519 !!"])
    def test_a_pin_that_is_none(self, server: SftpServer, told: str) -> None:
        with pytest.raises(PlaceRefuses, match="host key"):
            place(server, host_key=told)

    def test_a_wrong_password(self, server: SftpServer) -> None:
        feed = open_feed(trial(), secrets(server, password="wrong"))

        with pytest.raises(PermanentFailure, match="does not let us in"):
            feed.plan(None)

    def test_by_a_key(self, tmp_path: Path) -> None:
        """A private key of ours, with its passphrase."""
        key = paramiko.ECDSAKey.generate()
        path = tmp_path / "key"
        key.write_private_key_file(str(path), password="geheim")
        (tmp_path / "drop").mkdir()
        server = SftpServer(tmp_path, {key.asbytes()})
        try:
            login: dict[str, Any] = {"password": None, "key": str(path), "passphrase": "geheim"}
            with closing(place(server, **login)) as there:
                assert [] == there.files()
            with pytest.raises(PlaceRefuses, match="our private key"):
                place(server, **{**login, "passphrase": "wrong"})
        finally:
            server.close()

    def test_a_name_that_nobody_set(self, server: SftpServer) -> None:
        known = secrets(server)
        del known[NAMES["host_key"]]

        with pytest.raises(PermanentFailure, match="set YIZHAN_SOURCE_TRIAL_HOST_KEY"):
            open_feed(trial(), known)


# paramiko's thread that asks ahead dies with its line, and says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
class TestLines:
    def test_a_cut_line_goes_on_where_it_stopped(self, server: SftpServer) -> None:
        """Twice cut, once fetched: what was there is not asked for again."""
        content = os.urandom(6 << 20)
        (server.root / "drop" / "big").write_bytes(content)
        server.faults.cut_after, server.faults.cuts = 2 << 20, 2

        with closing(place(server)) as there, there.opened("big") as found:
            assert content == found.file.read()

        assert 0 == server.faults.cuts
        # Three lines; a slow one may be cut before anything came, and begins anew with good reason.
        assert server.faults.served.count(0) < 3

    def test_one_that_is_always_cut(self, server: SftpServer) -> None:
        (server.root / "drop" / "big").write_bytes(bytes(1 << 20))
        server.faults.cut_after, server.faults.cuts = 0, 99

        with (
            closing(place(server)) as there,
            pytest.raises(PlaceAway, match="does not answer"),
            there.opened("big"),
        ):
            pass

    def test_a_file_that_changes_between_two_lines(self, server: SftpServer) -> None:
        """Halves of two files are never put together."""
        path = server.root / "drop" / "big"
        path.write_bytes(bytes(6 << 20))
        server.faults.cut_after, server.faults.cuts = 2 << 20, 1
        there = place(server)
        real = there.close

        def replaced() -> None:
            real()
            path.write_bytes(b"\1" * (7 << 20))

        there.close = replaced  # type: ignore[method-assign]  # what happens when a line breaks
        with pytest.raises(PlaceAway, match="written while it was fetched"), there.opened("big"):
            pass
        real()

    def test_no_room_for_it(self, server: SftpServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A full disk is named as such, and the file is not asked for again and again."""
        (server.root / "drop" / "big").write_bytes(bytes(1 << 20))
        full = Path("/dev/full").open("wb", 0)  # noqa: SIM115 - whoever fetches closes it
        monkeypatch.setattr("tempfile.TemporaryFile", lambda: full)

        with (
            closing(place(server)) as there,
            pytest.raises(PlaceAway, match="no room to fetch big"),
            there.opened("big"),
        ):
            pass

    def test_a_server_that_hangs_up(self, server: SftpServer) -> None:
        server.faults.deaf = True

        with closing(opened(server)) as feed, pytest.raises(TransientFailure, match="not answer"):
            feed.plan(None)

    def test_no_server(self, server: SftpServer) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        feed = open_feed(trial(), secrets(server, host=f"127.0.0.1:{port}"))

        with closing(feed), pytest.raises(TransientFailure, match="not answer"):
            feed.plan(None)

    def test_no_folder(self, server: SftpServer) -> None:
        with (
            closing(place(server, "/elsewhere")) as there,
            pytest.raises(PlaceAway, match="the drop folder is not there"),
        ):
            there.files()


class TestPlaces:
    def test_both_kinds_put_whole_files_and_overwrite_none(self, server: SftpServer) -> None:
        """The one contract of places, over SFTP."""
        there: Place = place(server)
        with closing(there):
            there.put("returns", "a", [b"one ", b"two"])
            with pytest.raises(PlaceRefuses, match="already has"):
                there.put("returns", "a", [b"other"])
            assert b"one two" == there.small("returns/a", 100)
            assert b"one" == there.small("returns/a", 3)

            for _ in range(2):
                (server.root / "drop" / "b").write_bytes(b"")
                there.move("b", "done")
        names = sorted(path.name for path in (server.root / "drop" / "done").iterdir())
        assert ["b", "b.2"] == names
