"""The line to a source: rests, broken lines, tokens, redirects, certificates, hostile answers."""

from __future__ import annotations

import gzip
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.feeds import Manifest, PermanentFailure, TransientFailure, Window
from connectors.feeds.http_json import Unreadable, at, parsed
from connectors.feeds.http_pages import PagesFeed
from connectors.feeds.http_patience import Patience, asked_pause
from tests.connectors.feeds.paged import (
    PAGING,
    Collection,
    feed_of,
    in_turn,
    manifest,
    page_of,
    raw,
    read,
    rows,
)
from tests.connectors.feeds.serving import Asked, Reply, said

ONE = PAGING["one"]
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
CLIENT = {"client_id": "PAGED_ID", "client_secret": "PAGED_SECRET"}
SECRETS = {"PAGED_ID": "us:1", "PAGED_SECRET": "s e"}
SNAPSHOT = Window("snapshot", None, "now")


def one(found: list[dict[str, Any]]) -> Reply:
    """A whole collection in one answer."""
    return page_of(found, total=len(found))


class TestPatience:
    def test_broken_lines_are_tried_again_with_growing_pauses(self) -> None:
        """Six tries are five pauses: nobody sleeps before giving up."""
        with feed_of(lambda _asked: said({}, 503), manifest(ONE)) as (feed, served, pauses):
            with pytest.raises(
                TransientFailure, match=r"paged: no answer after 6 tries \(http_503"
            ):
                list(feed.read(SNAPSHOT))

            assert [0.2, 0.4, 0.8, 1.6, 3.2] == pauses
            assert 6 == len(served.asked)
            assert {"http_503": 6, "retries": 5} == feed.notices()

    def test_a_source_that_is_down(self) -> None:
        """Nothing listens at that port."""
        with pytest.raises(TransientFailure, match="line_broken 6"):
            list(feed_at("http://127.0.0.1:9", manifest(ONE)).read(SNAPSHOT))

    def test_retry_after_is_obeyed(self) -> None:
        """In seconds or by a date held against the answer's own; nonsense is no answer."""
        later = format_datetime(NOW + timedelta(seconds=9), usegmt=True)
        answer = in_turn(
            said({}, 429, Retry_After="7"),
            said({}, 503, Retry_After=later, Date=format_datetime(NOW, usegmt=True)),
            said({}, 429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
            said({}, 429, Retry_After="soon"),
            one(rows(1)),
        )
        with feed_of(answer, manifest(ONE)) as (feed, _, pauses):
            list(feed.read(SNAPSHOT))

            assert [7.0, 9.0, 0.8, 1.6] == pauses

    def test_a_long_rest_ends_the_pull(self) -> None:
        """Nobody sleeps for a day in a task, and nobody knocks again before it is over."""
        answer = said({}, 429, Retry_After="86400")
        with feed_of(lambda _asked: answer, manifest(ONE)) as (feed, served, pauses):
            with pytest.raises(TransientFailure, match="asks us to wait 86400 s, and 60 s"):
                list(feed.read(SNAPSHOT))

            assert ([], 1) == (pauses, len(served.asked))

    def test_patience_is_a_budget(self) -> None:
        """A source that rests again and again gets no more than was agreed."""
        answer = said({}, 429, Retry_After="10")
        source = manifest(ONE, patience_s=25)
        with feed_of(lambda _asked: answer, source) as (feed, _, pauses):
            with pytest.raises(TransientFailure, match="5 s of patience are left"):
                list(feed.read(SNAPSHOT))

            assert [10.0, 10.0] == pauses

    def test_a_rest_of_nought_seconds_is_no_busy_loop(self) -> None:
        """Pauses grow although the source says that none is needed."""
        patience = Patience(60, 6)

        pauses = list(iter(lambda: patience.pause(0.0), None))

        assert pauses == sorted(pauses)
        assert 0.2 == pauses[0]
        assert 60 >= sum(pauses)

    @pytest.mark.parametrize("said_so", ["", "soon", "-3", "1.5", "٣"])
    def test_no_pause_was_asked_for(self, said_so: str) -> None:
        assert asked_pause({"retry-after": said_so}, NOW) is None

    def test_the_agreed_rate(self) -> None:
        """Questions keep their distance."""
        source = manifest(PAGING["number"], per_second=0.1)
        with feed_of(Collection(rows(20), PAGING["number"]), source) as (feed, served, pauses):
            list(feed.read(SNAPSHOT))

            assert 5 == len(served.asked)
            assert [10, 20, 30, 40] == [round(pause, -1) for pause in pauses]


class TestBrokenAnswers:
    def test_a_line_that_dies_half_way(self) -> None:
        whole = one(rows(3))
        answer = in_turn(Reply(whole.body, headers=whole.headers, cut=True), whole)
        with feed_of(answer, manifest(ONE)) as (feed, *_):
            assert 3 == sum(batch.num_rows for batch in feed.read(SNAPSHOT))
            assert {"line_broken": 1, "retries": 1} == feed.notices()

    def test_a_torn_body_is_asked_for_once_more(self) -> None:
        answer = in_turn(raw('{"data": {"li'), one(rows(3)))
        with feed_of(answer, manifest(ONE)) as (feed, *_):
            assert 3 == sum(batch.num_rows for batch in feed.read(SNAPSHOT))
            assert {"answer_torn": 1} == feed.notices()

    def test_a_source_that_trickles(self) -> None:
        """Each part comes in time and the whole never does."""
        whole = one(rows(3))
        slow = Reply(whole.body, headers=whole.headers, slow=0.3)
        source = manifest(ONE, answer_s=1, patience_s=1)

        with pytest.raises(TransientFailure, match="timeout"):
            read(lambda _asked: slow, source)

    def test_a_page_for_people(self) -> None:
        """A login page with status 200 is named by what it calls itself."""
        html = Reply(b"<html>login</html>", headers={"Content-Type": "text/html; charset=utf-8"})

        with pytest.raises(
            PermanentFailure, match=r"is no JSON and calls itself text/html.*审批局"
        ):
            read(lambda _asked: html, manifest(ONE))

    def test_json_that_calls_itself_otherwise(self) -> None:
        """What it is counts."""
        plain = Reply(one(rows(2)).body, headers={"Content-Type": "text/plain"})

        assert rows(2) == read(lambda _asked: plain, manifest(ONE))

    def test_an_answer_without_end(self) -> None:
        with pytest.raises(PermanentFailure, match="longer than 1 MB"):
            read(lambda _asked: raw(" " * ((1 << 20) + 1)), manifest(ONE, answer_mb=1))

    def test_a_bomb(self) -> None:
        """The limit is on what the answer unfolds to."""
        bomb = Reply(gzip.compress(b" " * (9 << 20)), headers={"Content-Encoding": "gzip"})

        with pytest.raises(PermanentFailure, match="longer than 1 MB"):
            read(lambda _asked: bomb, manifest(ONE, answer_mb=1))

    def test_a_packed_answer_that_is_broken(self) -> None:
        broken = Reply(b"no gzip", headers={"Content-Encoding": "gzip"})

        with pytest.raises(TransientFailure, match="line_broken 6"):
            read(lambda _asked: broken, manifest(ONE))

    @pytest.mark.parametrize("status", [204, 400, 403, 404, 410, 418, 501])
    def test_any_other_answer_is_for_the_owner(self, status: int) -> None:
        with pytest.raises(PermanentFailure, match=f"the API answers {status}.*must repair"):
            read(lambda _asked: Reply(status=status), manifest(ONE))


class TestHostileJson:
    @pytest.mark.parametrize(
        ("body", "told"),
        [
            (b"", "is no JSON"),
            (b"{", "is no JSON"),
            (b"[] []", "is no JSON"),
            (b'{"a": 1, "a": 2}', "names a member twice"),
            (b'{"a": NaN}', "NaN or Infinity"),
            (b'{"a": -Infinity}', "NaN or Infinity"),
            (b"[" * 100_000, "nested too deep"),
            (b'{"a":' * 100_000, "nested too deep"),
            ('{"a": "永"}'.encode("gb18030"), "is not UTF-8"),
            (b"\xff\xfe{\x00}\x00", "is not UTF-8"),
        ],
    )
    def test_it_is_named(self, body: bytes, told: str) -> None:
        with pytest.raises(Unreadable, match=told):
            parsed(body)

    def test_numbers_stay_their_text(self) -> None:
        """89.50 must not become 89.5: checksums and people would notice."""
        found = parsed(b'{"a": 89.50, "b": 10000000000000000000001, "c": 1E400, "d": -0}')

        assert {"a": "89.50", "b": "10000000000000000000001", "c": "1E400", "d": "-0"} == found

    def test_a_number_of_a_million_digits_is_text(self) -> None:
        assert 10**6 == len(parsed(b"[" + b"7" * 10**6 + b"]")[0])

    def test_a_byte_order_mark_is_passed_over(self) -> None:
        assert {} == parsed(b"\xef\xbb\xbf{}")

    def test_places_in_a_document(self) -> None:
        document = {"a": [{"b": "1"}], "1": "x"}

        assert "1" == at(document, "a.0.b")
        assert "x" == at(document, "1")
        assert document is at(document, ".")
        assert at(document, "a.7.b") is at(document, "a.b") is at(document, "a.0.b.c")

    @pytest.mark.parametrize(
        ("found", "told"),
        [
            ('[{"NO": ["a", "list"]}]', "NO holds an object or a list"),
            ('[{"NO": {"a": 1}}]', "NO holds an object or a list"),
            ('[{"NO": "1"}, "no row"]', "no list of objects"),
            ('"no rows"', "no list of objects"),
            ("[[]]", "no list of objects"),
            ('[{"NO": "\\ud800"}]', "half of a character"),
        ],
    )
    def test_rows_that_are_no_rows(self, found: str, told: str) -> None:
        body = raw(f'{{"data": {{"list": {found}}}, "total": 1}}')

        with pytest.raises(PermanentFailure, match=told):
            read(lambda _asked: body, manifest(ONE))


class TestRecords:
    def test_cells_stay_as_they_were_written(self) -> None:
        body = raw(
            '{"data": {"list": [{"NO": 3, "XM": null, "MJ": 89.50, "YX": true}]}, "total": 1}'
        )

        found = read(lambda _asked: body, manifest(ONE))

        assert [{"NO": "3", "XM": None, "MJ": "89.50", "YX": "true"}] == found

    def test_nested_members_by_path(self) -> None:
        """A column names its path; what nobody wants is said too."""
        held: list[dict[str, Any]] = [
            {"id": {"no": "1"}, "names": [{"zh": "甲"}], "links": {}},
            {"id": {"no": "2"}},
        ]
        source = manifest(
            ONE, fields={"NO": "id.no", "XM": "names.0.zh"}, ignores=["links"], omits_null=True
        )

        assert [{"NO": "1", "XM": "甲"}, {"NO": "2", "XM": None}] == read(
            lambda _asked: one(held), source
        )

    @pytest.mark.parametrize(
        ("second", "told"),
        [
            ({"NO": "2", "XM": "b", "XP": "photo"}, "new columns: XP"),
            ({"NO": "2"}, "lost columns: XM"),
        ],
    )
    def test_columns_that_change_half_way(self, second: dict[str, str], told: str) -> None:
        answer = in_turn(page_of([{"NO": "1", "XM": "a"}], next="more"), page_of([second]))

        with pytest.raises(PermanentFailure, match=told):
            read(answer, manifest(PAGING["cursor"]))

    def test_a_source_that_leaves_out_what_is_null(self) -> None:
        """The agreed columns are always there, so that nothing seems to drift."""
        answer = in_turn(page_of([{"NO": "1"}], next="more"), page_of([{"XM": "b", "NO": "2"}]))

        found = read(answer, manifest(PAGING["cursor"], omits_null=True))

        assert [{"NO": "1", "XM": None}, {"NO": "2", "XM": "b"}] == found

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"NO": "1", "XM": "a"}, "changes come without lx, xh"),
            ({"NO": "1", "XM": "a", "lx": "9", "xh": "1"}, "an operation that we do not know"),
            ({"NO": "1", "XM": "a", "lx": "1", "xh": "first"}, "xh is no whole number"),
            ({"NO": "1", "XM": "a", "lx": "1", "xh": None}, "have no xh"),
        ],
    )
    def test_changes_that_are_none(self, change: dict[str, Any], told: str) -> None:
        source = manifest(ONE, operation="lx", sequence="xh", operations={"1": "I"})
        with (
            feed_of(lambda _asked: one([change]), source) as (feed, *_),
            pytest.raises(PermanentFailure, match=told),
        ):
            list(feed.read(Window("changes", "1", "2")))


class TestCredentials:
    def test_a_token_that_expires_is_renewed_once(self) -> None:
        """401 in the middle of the pages: one new token, and the same page again."""
        office = Office(lives=[2, 99])
        source = manifest(PAGING["number"], **CLIENT)
        with feed_of(office, source, **SECRETS) as (feed, *_):
            found = [row for batch in feed.read(SNAPSHOT) for row in batch.to_pylist()]

            assert rows(12) == found
            assert {"credentials_renewed": 1, "own_count": 1} == feed.notices()

    def test_a_token_is_renewed_before_it_ends(self) -> None:
        """The source says that it lives half a minute: nobody waits for the 401."""
        office = Office(lives=[99, 99, 99, 99, 99], expires_in="0")
        source = manifest(PAGING["number"], **CLIENT)
        with feed_of(office, source, **SECRETS) as (feed, *_):
            list(feed.read(SNAPSHOT))

            assert 4 == office.given
            assert "credentials_renewed" not in feed.notices()

    def test_a_token_that_is_refused_twice(self) -> None:
        source = manifest(ONE, **CLIENT)

        with pytest.raises(PermanentFailure, match="the API answers 401"):
            read(Office(lives=[0, 0]), source, **SECRETS)

    @pytest.mark.parametrize("token", ["", "two\nlines", ["t"], None])
    def test_a_token_that_is_none(self, token: Any) -> None:
        source = manifest(ONE, **CLIENT)

        with pytest.raises(PermanentFailure, match="the token is no token"):
            read(lambda _asked: said({"access_token": token}), source, **SECRETS)

    def test_credentials_in_a_header(self) -> None:
        """RFC 6749 2.3.1: both parts are form-encoded, then joined."""
        seen: list[Asked] = []

        def answer(asked: Asked) -> Reply:
            seen.append(asked)
            return said({"access_token": "t"}) if asked.path == "/token" else one(rows(1))

        more = {"credentials_in": "basic", "token_path": "/token", "scope": "read"}
        read(answer, manifest(ONE, **CLIENT, **more), **SECRETS)

        assert "Basic dXMlM0ExOnMrZQ==" == seen[0].headers["Authorization"]
        assert b"grant_type=client_credentials&scope=read" == seen[0].body
        assert "Bearer t" == seen[1].headers["Authorization"]

    def test_static_keys(self) -> None:
        """Their values come from the environment."""
        source = manifest(ONE, headers={"X-Api-Key": "PAGED_KEY"})
        with feed_of(lambda _asked: one(rows(1)), source, PAGED_KEY="k") as (feed, served, _):
            list(feed.read(SNAPSHOT))

            assert "k" == served.asked[0].headers["X-Api-Key"]

    def test_a_secret_that_nobody_set(self) -> None:
        with pytest.raises(PermanentFailure, match="set PAGED_KEY"):
            read(lambda _asked: one([]), manifest(ONE, headers={"X-Api-Key": "PAGED_KEY"}))


class Office:
    """Gives tokens, of which each is good for so many questions."""

    def __init__(self, lives: list[int], expires_in: str | None = None) -> None:
        self.lives = lives
        self.given = 0
        self.expires_in = expires_in

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/oauth/token":
            self.given += 1
            said_so = {} if self.expires_in is None else {"expires_in": int(self.expires_in)}
            return said({"access_token": f"t{self.given}", **said_so})
        number = int(asked.headers["Authorization"].removeprefix("Bearer t")) - 1
        if self.lives[number] < 1:
            return said({}, 401)
        self.lives[number] -= 1
        return Collection(rows(12), PAGING["number"])(asked)


class TestWhereItGoes:
    def test_a_redirect_within_the_origin(self) -> None:
        def answer(asked: Asked) -> Reply:
            if asked.path == "/rows":
                return Reply(status=307, headers={"Location": "/moved?x=1"})
            assert {"x": "1"} == asked.query
            return one(rows(2))

        assert rows(2) == read(answer, manifest(ONE))

    @pytest.mark.parametrize(
        "location",
        ["http://elsewhere.test/", "//elsewhere.test/", "https://127.0.0.1/", "http://["],
    )
    def test_a_redirect_elsewhere(self, location: str) -> None:
        """Our credentials are for one scheme, host and port."""
        reply = Reply(status=302, headers={"Location": location})

        with pytest.raises(PermanentFailure, match=r"(302|address)"):
            read(lambda _asked: reply, manifest(ONE))

    def test_redirects_in_a_circle(self) -> None:
        reply = Reply(status=302, headers={"Location": "/rows"})

        with pytest.raises(PermanentFailure, match="redirects more than 3 times"):
            read(lambda _asked: reply, manifest(ONE))

    @pytest.mark.parametrize(
        "url",
        ["", "ftp://a.test", "a.test", "https://", "https://us:pw@a.test", "https://a.test?x=1"],
    )
    def test_an_address_that_is_none(self, url: str) -> None:
        with pytest.raises(PermanentFailure, match="PAGED_URL"):
            feed_at(url, manifest(ONE))

    def test_plain_http_must_be_agreed(self) -> None:
        """Only this machine may be asked without TLS, unless the manifest says so."""
        with pytest.raises(PermanentFailure, match=r"not encrypted.*plain_http"):
            feed_at("http://estate.test", manifest(ONE))

        feed_at("http://estate.test", manifest(ONE, plain_http=True)).close()

    def test_a_certificate_of_nobody_we_know(self, office: Tls) -> None:
        feed = feed_at(office.url, manifest(ONE, patience_s=1))

        with pytest.raises(TransientFailure, match="line_broken"):
            list(feed.read(SNAPSHOT))

    def test_a_certificate_of_the_departments_own_authority(self, office: Tls) -> None:
        source = manifest(ONE, ca="PAGED_CA")
        feed = feed_at(office.url, source, PAGED_CA=str(office.ca))

        assert rows(1) == [row for batch in feed.read(SNAPSHOT) for row in batch.to_pylist()]

    def test_an_authority_that_is_no_file(self) -> None:
        with pytest.raises(PermanentFailure, match="PAGED_CA names no readable file"):
            feed_at("https://a.test", manifest(ONE, ca="PAGED_CA"), PAGED_CA="/no/such/file")

    def test_the_environments_proxy_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A department's system is asked directly."""
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.delenv("NO_PROXY", raising=False)

        assert rows(1) == read(lambda _asked: one(rows(1)), manifest(ONE))


class TestTwoThreads:
    def test_totals_may_be_asked_while_pages_are_read(self) -> None:
        """Whoever waits for the pages' own total gets it when they are over."""
        paging = PAGING["number with total"]
        with feed_of(Collection(rows(12), paging), manifest(paging)) as (feed, *_):
            told: list[int] = []
            thread = threading.Thread(target=lambda: told.append(feed.totals(SNAPSHOT).rows))
            thread.start()
            time.sleep(0.05)
            list(feed.read(SNAPSHOT))
            thread.join(timeout=60)

            assert [12] == told


class Tls:
    """A source behind TLS whose certificate is its own authority's."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "office")])
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        body = one(rows(1)).body

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, private)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Tls]:
    office = Tls(tmp_path)
    yield office
    office.server.shutdown()
    office.thread.join()
    office.server.server_close()


def feed_at(url: str, source: Manifest, **secrets: str) -> PagesFeed:
    """A feed of whatever answers at `url`; it makes no pauses."""
    return PagesFeed(source, {"PAGED_URL": url, **secrets}, sleep=lambda _seconds: None)
