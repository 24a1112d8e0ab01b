"""Archives made to do harm: each is refused by its name, and none unpacks further than it may."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib

import pytest

from connectors.parsing import archives
from connectors.parsing.spec import Spec
from tests.connectors.parsing.reading import fault_of, rows_of
from tests.connectors.parsing.test_formats import zipped

ZIP = Spec("csv", "zip")
GZ = Spec("csv", "gz")
CSV = b"A\n1\n"


def archive(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries:
            made.writestr(name, data)
    return out.getvalue()


def encrypted() -> bytes:
    """The flag of encryption, in both headers."""
    data = bytearray(zipped(CSV))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def overlapping() -> bytes:
    """Two entries of the directory that are one and the same data."""
    data = archive(("a.csv", CSV), ("b.csv", CSV))
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    broken = bytearray(data)
    struct.pack_into("<L", broken, second + 42, 0)
    broken[second + 46 : second + 51] = b"a.csv"
    return bytes(broken)


def bomb(size: int) -> bytes:
    return zipped(b"A\n" + b"1\n" * (size // 2))


class TestZip:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "not-zip"),
            (b"A,B\n1,2\n", "not-zip"),
            (archive(), "zip-empty"),
            (archive(("a.csv", CSV), ("b.csv", CSV)), "zip-many"),
            (archive(("/etc/passwd", CSV)), "zip-path"),
            (archive(("../a.csv", CSV)), "zip-path"),
            (archive(("a\\..\\..\\b.csv", CSV)), "zip-path"),
            (archive(("C:/a.csv", CSV)), "zip-path"),
            (encrypted(), "zip-encrypted"),
            (overlapping(), "zip-overlap"),
            (zipped(CSV).replace(b"PK\3\4", b"PK\3\5"), "not-zip"),
            (zipped(CSV)[:-30], "not-zip"),
            (zipped(CSV, "a.csv").replace(b"a.csv", b"b.csv", 1), "zip-names"),
        ],
    )
    def test_refused(self, data: bytes, code: str) -> None:
        assert code == fault_of(data, ZIP)[0]

    def test_a_wrong_checksum(self) -> None:
        data = bytearray(zipped(CSV))
        data[14] ^= 1
        data[data.index(b"PK\1\2") + 16] ^= 1

        assert "not-zip" == fault_of(bytes(data), ZIP)[0]

    def test_another_method(self) -> None:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as made:
            made.writestr("a.csv", CSV)

        assert "zip-method" == fault_of(out.getvalue(), ZIP)[0]

    def test_one_of_many_by_its_name(self) -> None:
        """The agreed one, in a folder or not; Windows names it in GBK."""
        data = archive(("说明.txt", b"?"), ("aaaa/bbbb.csv", CSV))
        data = data.replace(b"aaaa/bbbb", "数据/法人".encode("gbk"))

        assert [("1",)] == rows_of(data, Spec("csv", "zip", member="法人*.csv"))[1]

    def test_a_bomb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A thousandfold is stopped by its ratio, whatever its directory says."""
        monkeypatch.setattr(archives, "FREE", 1 << 20)

        assert "unpacks-too-far" == fault_of(bomb(8 << 20), ZIP)[0]

    def test_a_workbook_that_unpacks_too_far(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "MOST_IN_MEMORY", 1 << 20)

        assert "packed-too-large" == fault_of(bomb(2 << 20), Spec("parquet", "zip"))[0]

    def test_thousands_of_entries(self) -> None:
        assert "zip-many" == fault_of(archive(*((str(n), b"") for n in range(5000))), ZIP)[0]


class TestGzip:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "empty"),
            (b"A,B\n1,2\n", "not-gzip"),
            (gzip.compress(CSV * 100)[:-12], "cut-short"),
            (gzip.compress(CSV)[:-8] + struct.pack("<2L", zlib.crc32(b"?"), 4), "not-gzip"),
            (gzip.compress(CSV) + b"trailing", "not-gzip"),
        ],
    )
    def test_refused(self, data: bytes, code: str) -> None:
        assert code == fault_of(data, GZ)[0]

    def test_a_bomb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archives, "FREE", 1 << 20)

        assert "unpacks-too-far" == fault_of(gzip.compress(b"A\n" + b"1\n" * (4 << 20)), GZ)[0]

    def test_several_members_are_one_file(self) -> None:
        data = gzip.compress(b"A\n1\n") + gzip.compress(b"2\n")

        assert [("1",), ("2",)] == rows_of(data, GZ)[1]
