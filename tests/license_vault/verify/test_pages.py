"""Verifying over HTTP: real licenses of a real vault, through the hub and its pages."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from exchange.scanned import veiled
from exchange.web.licenses import Readers
from license_vault import checkpoints, issue, log, status_list
from license_vault.trust import TrustBundle, bundle
from license_vault.verify import MOST_BYTES, Verdict, verify
from schemas import checkpoint, merkle
from schemas.errors import Unavailable
from schemas.license import Form
from tests.license_vault.office import certificate
from tests.license_vault.verify.city import CREDENTIAL, PDF, City


class TestVerifications:
    def test_what_the_vault_issues_is_valid_until_it_is_revoked(self, city: City) -> None:
        """PDF and SD-JWT, with the log proof; and after a revoke at once not any more."""
        pdf, token = city.file(city.business, Form.PDF), city.file(city.business, Form.SD_JWT)

        before = city.judged(pdf)
        assert ("VALID", "proved") == (before["verdict"], before["reason"])
        assert {"passed"} == {step["outcome"] for step in before["steps"]}
        assert "VALID" == city.judged(token, CREDENTIAL)["verdict"]

        city.revoke(city.business)

        for data, kind in ((pdf, PDF), (token, CREDENTIAL)):
            after = city.judged(data, kind)
            assert ("INVALID", "revoked") == (after["verdict"], after["reason"])
        assert "VALID" == city.judged(city.file(city.house, Form.PDF))["verdict"]

    def test_a_damaged_pdf_is_a_verdict(self, standing: City) -> None:
        """Not a failure of the exchange."""
        spoiled = standing.file(standing.business, Form.PDF).replace(b"obj", b"obk", 1)

        assert "INVALID" == standing.judged(spoiled)["verdict"]
        assert "empty" == standing.judged(b"")["reason"]

    def test_bodies_of_every_kind(self, standing: City) -> None:
        """Raw, of any media type that is taken, or as a form."""
        pdf = standing.file(standing.business, Form.PDF)

        raw = standing.judged(pdf, {"content-type": "application/octet-stream"})
        form = standing.hub.post("/v1/verifications", files={"file": ("x.pdf", pdf)}).json()

        assert "VALID" == raw["verdict"] == form["verdict"]

    @pytest.mark.parametrize(
        ("body", "headers", "status"),
        [
            (bytes(MOST_BYTES + 1), PDF, 413),
            (b"{}", {"content-type": "application/json"}, 415),
            (b"x", {}, 415),
            (b"x", {"content-type": "multipart/form-data"}, 400),
            (b"x", {"content-type": "multipart/form-data; boundary=x"}, 400),
            (
                b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\nhi\r\n--x--\r\n',
                {"content-type": "multipart/form-data; boundary=x"},
                400,
            ),
        ],
    )
    def test_what_is_not_taken(
        self, standing: City, body: bytes, headers: dict[str, str], status: int
    ) -> None:
        """Clear problem documents, never a 500."""
        answer = standing.hub.post("/v1/verifications", content=body, headers=headers)

        assert status == answer.status_code
        assert "application/problem+json" == answer.headers["content-type"]

    def test_nothing_is_written_to_disk(
        self, standing: City, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even a large form: Starlette would spool it into a file."""

        def spooled(*_: object) -> None:
            raise AssertionError("an upload was written to disk")

        monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", spooled)

        large = {"file": ("x.pdf", b"%PDF-1.7\n" + bytes(3_000_000))}
        assert 200 == standing.hub.post("/v1/verifications", files=large).status_code


class TestReaders:
    def test_more_than_can_wait_are_sent_away(self) -> None:
        """Slow documents hold up one another, and nobody else: the rest may try again."""
        readers = Readers(threads=1, waiting=0)
        trust = TrustBundle("", (), None, datetime.now(UTC))

        with pytest.raises(Unavailable):
            asyncio.run(readers.examine(b"%PDF-1.7", trust, datetime.now(UTC)))


class TestPage:
    def test_a_form_post_needs_no_script(self, standing: City) -> None:
        """Verdict first, then every numbered step, in both languages."""
        pdf = standing.file(standing.house, Form.PDF)

        page = standing.hub.post("/verify", files={"file": ("房产证.pdf", pdf)})

        assert 200 == page.status_code
        assert page.text.index("核验通过") < page.text.index("逐项核验")
        assert "DocMDP P=1" in page.text
        assert "<script" not in page.text
        assert "应𠮷" not in page.text
        assert "应*" in page.text

    def test_what_a_file_says_is_escaped(self, standing: City) -> None:
        """A name of a file, or of a holder, is text and never markup."""
        page = standing.hub.post("/verify", files={"file": ("<b>x", b"hello")})

        assert "UNREADABLE" in page.text
        assert "<b>x" not in page.text

    def test_no_file_chosen(self, standing: City) -> None:
        """The page says what to do."""
        page = standing.hub.post("/verify", data={"other": "x"})

        assert 400 <= page.status_code < 500
        assert "text/html; charset=utf-8" == page.headers["content-type"]

    def test_nothing_from_elsewhere_may_load(self, standing: City) -> None:
        """The policy allows our own style sheet and nothing else."""
        page = standing.hub.get("/verify")

        assert "default-src 'none'" in page.headers["content-security-policy"]
        for name in ("yizhan.css", "yizhan.svg"):
            assert 200 == standing.hub.get(f"/static/{name}").status_code
        assert 404 == standing.hub.get("/static/base.html").status_code


class TestScan:
    def test_in_force(self, standing: City) -> None:
        """The status, and the face to compare with, its persons masked."""
        page = standing.scan(standing.house)

        assert 200 == page.status_code
        assert "属实，现行有效" in page.text
        assert standing.house.id in page.text
        assert "应𠮷" not in page.text
        assert "What a copy cannot prove" in page.text

    def test_revoked(self, city: City) -> None:
        """At once."""
        city.revoke(city.house)

        assert "已吊销" in city.scan(city.house).text

    def test_superseded(self, city: City) -> None:
        """It names the license that took its place."""
        later = certificate("certificate/2", number="浙(2025)永康市不动产权第0000007号")
        vault = city.office
        replaced = issue.Request(**{**later.__dict__, "supersedes": city.house.id})
        new = issue.issue(vault.connect, vault.signer, [replaced], vault.place)[0]

        page = city.scan(city.house)

        assert "已换发" in page.text
        assert new.id in page.text
        assert "属实，现行有效" in city.scan(new).text

    @pytest.mark.parametrize("altered", [{"s": "AAAAAAAAAAAAAAAA"}, {"d": "0" * 16}, {"s": ""}])
    def test_a_code_that_was_not_printed(self, standing: City, altered: dict[str, str]) -> None:
        """Who guesses an identifier sees no face; who altered the code is told."""
        page = standing.scan(standing.house, **altered)

        assert 404 == page.status_code
        assert "二维码不符" in page.text
        assert "永康市东城街道" not in page.text

    @pytest.mark.parametrize("license_id", ["x", "1.2.156.3005.2.1.1.1.1.1", "<script>"])
    def test_no_such_license(self, standing: City, license_id: str) -> None:
        """An identifier that nobody was given."""
        page = standing.hub.get(f"/q/{license_id}")

        assert 404 == page.status_code
        assert "<script>" not in page.text


class TestVeiled:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("应", "*"),
            ("应𠮷", "应*"),
            ("张三丰", "张**"),
            ("张三、李四、王五六", "张*、李*、王**"),
            ("永康市东城街道金城路6号2单元301室", "永康市东城街**********01室"),
            ("甲" * 60, "甲" * 6 + "*" * 51 + "甲" * 3),
        ],
    )
    def test_enough_to_compare_and_too_little_to_use(self, text: str, shown: str) -> None:
        """Every name by itself; of an address the street and the door."""
        assert shown == veiled(text)


class TestPublished:
    def test_the_status_list(self, city: City) -> None:
        """Signed, of this hub, cached by version and yet never old after a change."""
        held = city.house
        path = f"/status/{held.status_list}"
        first, second = city.hub.get(path), city.hub.get(path)
        assert first.text == second.text
        assert status_list.MEDIA_TYPE == first.headers["content-type"]
        assert "max-age" in first.headers["cache-control"]

        city.revoke(held)

        address = f"{city.office.settings.public_url}{path}"
        read = status_list.parse(city.hub.get(path).text, uri=address)
        assert 1 == read.statuses.at(held.status_index)
        assert 0 == read.statuses.at(city.business.status_index)

    @pytest.mark.parametrize("number", ["0", "99", "-1", "x", "99999999999999"])
    def test_no_such_list(self, standing: City, number: str) -> None:
        """Not found, or not even a number."""
        assert standing.hub.get(f"/status/{number}").status_code in (404, 422)

    def test_the_log_can_be_followed(self, standing: City) -> None:
        """From the tiles alone: every entry, and the root of the signed head."""
        trust = bundle(standing.hub.get("/trust").content)
        assert trust.log_key is not None
        head = checkpoint.verify(standing.hub.get("/log/checkpoint").text, trust.log_key)
        assert 2 == head.size

        hashes = standing.hub.get(f"/log/{log.tile_path(0, 0, head.size)}").content
        entries = standing.hub.get(f"/log/{log.tile_path(None, 0, head.size)}").content

        leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
        assert head.root == merkle.root(leaves)
        length = int.from_bytes(entries[:2])
        assert leaves[0] == merkle.leaf_hash(entries[2 : 2 + length])
        assert "应" not in entries.decode("utf-8", "replace")

    def test_a_revoke_is_in_the_log_at_once(self, city: City) -> None:
        """The head grows with it."""
        city.hub.get("/log/checkpoint")
        city.revoke(city.house)

        grown = checkpoint.parse(city.hub.get("/log/checkpoint").text.split("\n\n")[0] + "\n")

        assert 3 == grown.size

    @pytest.mark.parametrize("path", ["0/001", "0/000", "0/000.p/9", "1/000.p/1", "entries/005"])
    def test_tiles_that_are_not_there_yet(self, standing: City, path: str) -> None:
        """A partial tile is asked for by its width."""
        assert 404 == standing.hub.get(f"/log/tile/{path}").status_code

    def test_offline_with_the_bundle(self, standing: City) -> None:
        """Everything needed is in it, and the log's key as well."""
        trust = bundle(standing.hub.get("/trust").content)
        pdf, proof = (
            standing.file(standing.house, Form.PDF),
            standing.file(standing.house, Form.PROOF),
        )

        report = verify(pdf, trust, datetime.now(UTC), proof=proof)

        assert Verdict.VALID == report.verdict
        assert "entry 1 of 2" in report.steps[-1].evidence

    def test_heads_are_kept(self, standing: City) -> None:
        """The head that was served is the head that is filed."""
        served = standing.hub.get("/log/checkpoint").text

        with standing.office.connect() as conn:
            kept = checkpoints.current(
                conn, standing.office.signer, standing.office.settings.public_url
            )

        assert kept.note == served
