"""A second opinion on our seals: poppler's `pdfsig`, which shares no code with us.

It judges the digest and the signature, never the document: it accepts shadow attacks. So what it
finds changed must be changed for us too, and not the other way round.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from license_vault.verify import Verdict, verify
from tests.license_vault.verify import making
from tests.license_vault.verify.making import AT, Authority

PDFSIG = shutil.which("pdfsig")
FLIPS = 200

pytestmark = pytest.mark.skipif(
    PDFSIG is None, reason="pdfsig is not installed (apt-get install poppler-utils)"
)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def license_pdf(authority: Authority) -> bytes:
    """A license rendered, laid out and sealed by the vault's own code."""
    return making.issued(authority.seal)


def opinion(data: bytes, folder: Path) -> str:
    """What pdfsig says of these bytes."""
    file = folder / "license.pdf"
    file.write_bytes(data)
    asked = [str(PDFSIG), "-nocert", str(file)]
    said = subprocess.run(asked, capture_output=True, timeout=60, check=False)
    return said.stdout.decode("utf-8", "replace")


def believed(said: str) -> bool:
    """Whether pdfsig calls the signature valid and the whole document signed."""
    return "Signature is Valid" in said and "Total document signed" in said


class TestPdfsig:
    def test_it_accepts_our_seal(self, license_pdf: bytes, tmp_path: Path) -> None:
        """Valid, whole document, PAdES."""
        said = opinion(license_pdf, tmp_path)

        assert "Signature Validation: Signature is Valid." in said
        assert "Total document signed" in said
        assert "ETSI.CAdES.detached" in said

    def test_two_hundred_flipped_bytes(
        self, authority: Authority, license_pdf: bytes, tmp_path: Path
    ) -> None:
        """Bits flipped in signed ranges: valid neither for pdfsig nor for us."""
        token = making.status_token(authority.seal)
        found = re.search(rb"/ByteRange\s*\[\s*0\s+(\d+)\s+(\d+)\s+(\d+)", license_pdf)
        assert found is not None
        first, resumed, rest = map(int, found.groups())
        covered = [*range(first), *range(resumed, resumed + rest)]
        chance = random.Random(36904)

        for at in chance.sample(covered, FLIPS):
            spoiled = bytearray(license_pdf)
            spoiled[at] ^= 1 << chance.randrange(8)
            ours = verify(bytes(spoiled), authority.trust, AT, lambda address: token)
            assert Verdict.VALID is not ours.verdict
            assert not believed(opinion(bytes(spoiled), tmp_path))

    def test_both_accept_it_unspoiled(
        self, authority: Authority, license_pdf: bytes, tmp_path: Path
    ) -> None:
        """The test above can fail: untouched bytes are believed by both."""
        token = making.status_token(authority.seal)

        ours = verify(license_pdf, authority.trust, AT, lambda address: token)

        assert Verdict.VALID is ours.verdict
        assert believed(opinion(license_pdf, tmp_path))
