"""A service of an exchange platform, its gateway a process of its own with real signatures."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml

from connectors.feeds import Manifest, PermanentFailure, TransientFailure, open_feed
from connectors.feeds.dialects import dialect, dialects, unwrapped, wrapped
from connectors.feeds.provincial_exchange import ExchangeFeed
from connectors.testkit.gateway import Access, append_rows, gateway_argv, open_gateway
from connectors.testkit.gateway.__main__ import Gateway
from schemas.errors import Invalid
from tests.conftest import free_port
from tests.connectors.feeds.pulling import pull
from tests.connectors.feeds.serving import Asked, Reply, said, serving

COLUMNS = ("XKBH", "XZXDR", "JE", "GXSJ")
LONG_AGO = "2026-01-05T09:00:00+08:00"


def permits(count: int, start: int = 0) -> list[dict[str, str | None]]:
    """Rows of a permit service."""
    return [
        {"XKBH": f"浙永许{number:06d}", "XZXDR": "某公司", "JE": "89.50", "GXSJ": LONG_AGO}
        for number in range(start, start + count)
    ]


@dataclass
class Platform:
    """A gateway over a folder, listening."""

    folder: Path
    port: int
    access: Access
    server: uvicorn.Server | None = None
    thread: threading.Thread | None = None

    @property
    def secrets(self) -> dict[str, str]:
        """What the manifest asks for."""
        return {
            "GATEWAY_URL": f"http://127.0.0.1:{self.port}",
            "GATEWAY_REQUESTER": self.access.requester,
            "GATEWAY_KEY": self.access.app_key,
        }

    def start(self) -> None:
        """Listen, in a thread: a process takes seconds to start."""
        app = Gateway.of(self.folder).app()
        self.server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="warning"))
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        answers(self.port)

    def stop(self) -> None:
        """Listen no more."""
        assert self.server
        assert self.thread
        self.server.should_exit = True
        self.thread.join()

    def configure(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change its configuration and start it anew."""
        path = self.folder / "gateway.yaml"
        config = yaml.safe_load(path.read_text("utf-8"))
        change(config)
        path.write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
        self.stop()
        self.start()


def answers(port: int) -> None:
    """Wait until a gateway answers at `port`."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/health").raise_for_status()
            return
        time.sleep(0.02)
    raise AssertionError("the gateway did not start")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    folder = tmp_path / "gateway"
    access = open_gateway(folder, {"s_permit": permits(23), "s_empty": []})
    platform = Platform(folder, free_port(), access)
    platform.start()
    yield platform
    platform.stop()


def manifest(**feed: Any) -> Manifest:
    """A manifest of the permit service."""
    return Manifest.model_validate(
        {
            "source": "permits",
            "dataset": "credit.permit",
            "owner": "永康市行政审批局",
            "feed": {
                "kind": "provincial_exchange",
                "base_url": "GATEWAY_URL",
                "requester": "GATEWAY_REQUESTER",
                "app_key": "GATEWAY_KEY",
                "service": "s_permit",
                "page_size": 5,
                **feed,
            },
            "schedule": "1h",
            "columns": {name: name.lower() for name in COLUMNS},
            "guards": {"deleted_at_most": 1, "quarantined_at_most": 1},
        }
    )


class TestReading:
    def test_every_row_once_and_the_total_is_the_platforms(self, platform: Platform) -> None:
        pulled = pull(open_feed(manifest(), platform.secrets), COLUMNS)

        assert permits(23) == pulled.rows
        assert ("snapshot", 23) == (pulled.window.mode, pulled.totals.rows)
        assert "own_count" not in pulled.notices

    def test_a_service_without_rows(self, platform: Platform) -> None:
        feed = open_feed(manifest(service="s_empty"), platform.secrets)
        with closing(feed):
            window = feed.plan(None)
            assert window is not None

            assert [] == list(feed.read(window))
            assert 0 == feed.totals(window).rows

    def test_later_pulls_ask_for_what_changed(self, platform: Platform) -> None:
        """Changes come as updates in the order of pages; nothing new is no window."""
        source = manifest(changed="GXSJ", look_back_s=60)
        first = pull(open_feed(source, platform.secrets), COLUMNS)
        with closing(open_feed(source, platform.secrets)) as feed:
            assert feed.plan(first.window.end) is None

        moment = datetime.now(UTC) - timedelta(seconds=1)
        changed = {**permits(1)[0], "JE": "1000000", "GXSJ": moment.isoformat(timespec="seconds")}
        append_rows(platform.folder, "s_permit", [changed])
        time.sleep(1.1)  # a window is between two seconds of the platform's clock
        second = pull(open_feed(source, platform.secrets), COLUMNS, first.window.end)

        assert [{**changed, "_op": "U", "_seq": 1}] == second.rows
        assert ("changes", 1) == (second.window.mode, second.totals.rows)

    def test_fixed_conditions(self, platform: Platform) -> None:
        source = manifest(where={"XKBH": "浙永许000007"})

        pulled = pull(open_feed(source, platform.secrets), COLUMNS)

        assert [permits(8)[7]] == pulled.rows

    def test_a_sample(self, platform: Platform) -> None:
        with closing(open_feed(manifest(changed="GXSJ"), platform.secrets)) as feed:
            assert permits(7) == feed.sample(7).to_pylist()

    def test_a_gateway_that_starts_anew_forgets_keys(self, platform: Platform) -> None:
        """The working key is fetched again, and no row is lost."""
        with closing(open_feed(manifest(), platform.secrets)) as feed:
            window = feed.plan(None)
            assert window is not None
            pages = feed.read(window)
            rows = next(pages).to_pylist()
            platform.stop()
            platform.start()
            for page in pages:
                rows += page.to_pylist()

            assert permits(23) == rows
            assert 1 == feed.notices()["code_-1"]

    @pytest.mark.parametrize("name", sorted(dialects()))
    def test_every_dialect(self, platform: Platform, name: str) -> None:
        platform.configure(lambda config: config.update(dialect=name))

        pulled = pull(open_feed(manifest(dialect=name), platform.secrets), COLUMNS)

        assert permits(23) == pulled.rows

    def test_words_can_be_replaced(self, platform: Platform) -> None:
        """A platform that names its headers and its page otherwise needs no code."""
        says = {"headers": {"requester": "X-Rid"}, "body": {"page": "pageNum"}}
        platform.configure(lambda config: config.update(says=says))

        pulled = pull(open_feed(manifest(says=says), platform.secrets), COLUMNS)

        assert permits(23) == pulled.rows


class TestProcess:
    def test_it_serves_a_folder_from_the_command_line(self, tmp_path: Path) -> None:
        """The demo starts it like this; CSV serves as well as JSON lines."""
        folder, port = tmp_path / "gateway", free_port()
        access = open_gateway(folder, {"s_permit": []})
        (folder / "s_permit.jsonl").unlink()
        lines = [",".join(COLUMNS), *(",".join(map(str, row.values())) for row in permits(7))]
        (folder / "s_permit.csv").write_text("\n".join(lines), "utf-8")
        config = (folder / "gateway.yaml").read_text("utf-8").replace(".jsonl", ".csv")
        (folder / "gateway.yaml").write_text(config, "utf-8")
        process = subprocess.Popen(gateway_argv(port, folder))
        try:
            answers(port)
            secrets = Platform(folder, port, access).secrets

            pulled = pull(open_feed(manifest(), secrets), COLUMNS)
        finally:
            process.terminate()
            process.wait(timeout=60)

        assert permits(7) == pulled.rows

    def test_its_key_stays_and_is_for_this_user_alone(self, tmp_path: Path) -> None:
        first = open_gateway(tmp_path, {"s_permit": []})

        assert first == open_gateway(tmp_path, {"s_permit": permits(1)}) == Access.read(tmp_path)
        assert 0o600 == (tmp_path / "gateway.yaml").stat().st_mode & 0o777

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="no gateway's folder"):
            Gateway.of(tmp_path)


class TestRefusals:
    def test_a_wrong_application_key(self, platform: Platform) -> None:
        secrets = {**platform.secrets, "GATEWAY_KEY": "a guess"}

        with pytest.raises(PermanentFailure, match=r"-1 when we ask for the working key.*永康市"):
            pull(open_feed(manifest(), secrets), COLUMNS)

    def test_an_unknown_requester(self, platform: Platform) -> None:
        secrets = {**platform.secrets, "GATEWAY_REQUESTER": "nobody"}

        with pytest.raises(PermanentFailure, match="working key"):
            pull(open_feed(manifest(), secrets), COLUMNS)

    def test_a_service_that_is_not_ours(self, platform: Platform) -> None:
        with pytest.raises(PermanentFailure, match=r"E-106.*does not list service s_secret"):
            pull(open_feed(manifest(service="s_secret"), platform.secrets), COLUMNS)

    def test_a_clock_that_is_off(self, platform: Platform) -> None:
        """The gateway refuses a time that is too far from its own."""
        platform.configure(lambda config: config.update(clock_skew_s=0))

        with pytest.raises(PermanentFailure, match="our clock"):
            pull(open_feed(manifest(), platform.secrets), COLUMNS)

    def test_more_calls_than_a_minute_allows(self, platform: Platform) -> None:
        """429 names the rest; it is longer than our patience, and the next run asks again."""
        limit(platform, per_minute=3)

        with pytest.raises(TransientFailure, match=r"asks us to wait \d+ s"):
            pull(open_feed(manifest(patience_s=5), platform.secrets), COLUMNS)

    def test_more_rows_than_a_day_allows(self, platform: Platform) -> None:
        limit(platform, rows_per_day=10)

        with pytest.raises(TransientFailure, match=r"asks us to wait 86\d+ s"):
            pull(open_feed(manifest(), platform.secrets), COLUMNS)

    def test_a_nonce_counts_once(self, platform: Platform) -> None:
        """Who repeats an overheard call is refused."""
        platform.configure(lambda config: config.update(dialect="shandong"))
        words = dialect("shandong")
        parts: dict[Any, str] = {
            "requester": platform.access.requester,
            "service": "s_permit",
            "time": str(int(time.time() * 1000)),
            "nonce": "once",
        }
        parts["signature"] = words.signed(platform.access.app_key, parts)
        headers = {header: parts[part] for part, header in words.headers.items()}
        url = f"{platform.secrets['GATEWAY_URL']}/s_permit"

        codes = [httpx.post(url, json={}, headers=headers).json()["code"] for _ in range(2)]

        assert ["0", "-1"] == codes

    def test_a_body_that_asks_for_nothing(self, platform: Platform) -> None:
        """Nonsense gets a code, not a broken gateway."""
        words = dialect("gjgxjhpt")
        with closing(open_feed(manifest(), platform.secrets)) as feed:
            assert isinstance(feed, ExchangeFeed)
            feed.sample(1)
            for body in (b"", b"[]", b'{"page": "x"}', b'{"whereList": [[{}]]}', b'{"page": 0}'):
                headers = feed._keys.headers(feed._line)
                answer = httpx.post(
                    f"{platform.secrets['GATEWAY_URL']}{words.call}", content=body, headers=headers
                )
                assert 200 == answer.status_code


class TestCodes:
    def test_a_failure_that_it_does_not_explain_is_tried_again(self) -> None:
        """-1 renews the key once and is then tried a few times."""
        pauses: list[float] = []
        with lying(lambda _body: {"code": "-1"}) as feed:
            feed._sleep = pauses.append
            with pytest.raises(TransientFailure, match="code -1 to every one of 6 tries"):
                feed.sample(1)

        assert 5 == len(pauses) == len(set(pauses))

    def test_a_code_that_nobody_told_us(self) -> None:
        with (
            lying(lambda _body: {"code": "E-999"}) as feed,
            pytest.raises(PermanentFailure, match="E-999, which dialect gjgxjhpt lacks"),
        ):
            feed.sample(1)

    def test_data_that_is_text_is_opened(self) -> None:
        data = json.dumps({"total": 1, "list": permits(1)})
        with lying(lambda _body: {"code": 0, "data": data}) as feed:
            assert permits(1) == feed.sample(1).to_pylist()

    def test_a_total_that_changes(self) -> None:
        """Rows came or went while it was read: the run after this one reads it again."""

        def shifting(body: dict[str, Any]) -> Any:
            total = 9 if body["page"] == 1 else 8
            rows = permits(5, 5 * (body["page"] - 1))
            return {"code": "0", "data": {"total": total, "list": rows}}

        with (
            lying(shifting) as feed,
            pytest.raises(TransientFailure, match="from 9 rows to 8"),
        ):
            list(feed.read(window_of(feed)))


class TestDialects:
    def test_a_signature_is_what_others_compute(self) -> None:
        """printf srt | openssl dgst -sha256 -hmac k -binary | base64"""
        parts: dict[Any, str] = {"service": "s", "requester": "r", "time": "t"}

        assert "PcdkMSpOahylXWe84vr9J+Opduz/92KrBanevr3ejXc=" == dialect("gjgxjhpt").signed(
            "k", parts
        )

    def test_a_wrapped_key_is_what_others_compute(self) -> None:
        """openssl enc -aes-128-ecb -K $(the first 16 bytes of SHA-1 of SHA-1 of the key)."""
        assert "Ju2spZ73djCJmvMe6FdcLA==" == wrapped("secret", "k", "sha1prng")
        assert "secret" == unwrapped("Ju2spZ73djCJmvMe6FdcLA==", "k", "sha1prng")

    def test_what_is_unproved_is_marked_and_exists(self) -> None:
        """A word to check is a word of its entry."""
        for name, words in dialects().items():
            for path in dialect(name).to_check:
                place: Any = words
                for part in path.split(".", 1):
                    place = place[part]

    @pytest.mark.parametrize(
        ("name", "says"),
        [("klingon", {}), ("gjgxjhpt", {"tongue": "x"}), ("gjgxjhpt", {"good": 1})],
    )
    def test_a_dialect_that_is_none(self, name: str, says: dict[str, Any]) -> None:
        with pytest.raises(Invalid, match=name):
            dialect(name, says)


def limit(platform: Platform, **limits: int) -> None:
    """Give the requester less."""

    def less(config: dict[str, Any]) -> None:
        for service in config["requesters"][platform.access.requester]["services"].values():
            service.update(limits)

    platform.configure(less)


@contextlib.contextmanager
def lying(answer: Callable[[dict[str, Any]], Any]) -> Iterator[ExchangeFeed]:
    """A platform whose service answers like `answer`."""

    def reply(asked: Asked) -> Reply:
        if asked.path.endswith("refreshappsecret"):
            return said({"code": "0", "data": {"secret": wrapped("w", "key", "sha1prng")}})
        return said(answer(json.loads(asked.body)))

    with serving(reply) as served:
        secrets = {"GATEWAY_URL": served.url, "GATEWAY_REQUESTER": "us", "GATEWAY_KEY": "key"}
        with closing(ExchangeFeed(manifest(), secrets, sleep=lambda _s: None)) as feed:
            yield feed


def window_of(feed: ExchangeFeed) -> Any:
    window = feed.plan(None)
    assert window is not None
    return window
