"""Alerts: what is missing, what is bad, and when it is over."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from exchange.database import Role
from exchange.libraries import alerts, journey
from exchange.libraries.alerts import jumped
from exchange.libraries.batches import Held
from schemas.errors import Invalid, NotFound
from tests.exchange.libraries.conftest import ADA, BEN, CAI, City, Loosen, resident

LONG = timedelta(days=400)


def kinds(city: City, at: datetime | None = None) -> list[str]:
    return [alert.kind for alert in alerts.look(city.settings, at=at)]


@pytest.fixture
def held(city_of: City) -> City:
    """A batch that waits for a person."""
    city_of["residents"].sends("1", [resident(ADA), resident(BEN, "秘密", XBDM="?")])
    with pytest.raises(Held):
        journey.collect(city_of.settings, "residents")
    return city_of


class TestMissing:
    def test_a_batch_that_does_not_come(self, city_of: City) -> None:
        """The contract's promise counts from the last batch; the next one closes the alert."""
        city_of["residents"].sends("1", [resident(ADA)])
        journey.collect(city_of.settings, "residents")
        manifest = journey.manifest_of(city_of.settings, "residents")
        later = datetime.now(UTC) + alerts.longest_wait(manifest) + timedelta(hours=1)

        assert [] == kinds(city_of)
        (alert,) = alerts.look(city_of.settings, at=later)
        assert ("missing-batch", "residents") == (alert.kind, alert.source)
        assert "永康市公安局 owes one every" in alert.message
        city_of["residents"].sends("2", [resident(BEN)], "changes")
        journey.collect(city_of.settings, "residents")
        assert [] == kinds(city_of)

    def test_a_manifest_may_expect_more_than_the_contract(self, city_of: City) -> None:
        """The rhythm in the manifest goes before the promise in the contract."""
        path = city_of.settings.sources / "residents.yaml"
        text = re.sub(r"^expected:.*\n", "", path.read_text("utf-8"), flags=re.MULTILINE)
        path.write_text(f"{text}\nexpected: {{every: 1m}}\n", "utf-8")
        city_of["residents"].sends("1", [resident(ADA)])
        journey.collect(city_of.settings, "residents")

        assert ["missing-batch"] == kinds(city_of, datetime.now(UTC) + timedelta(minutes=2))

    def test_a_source_that_was_never_asked_owes_nothing(self, city_of: City) -> None:
        """A manifest that was just written is no alert."""
        assert [] == kinds(city_of, datetime.now(UTC) + LONG)


class TestBad:
    def test_a_held_batch_until_it_is_decided(self, held: City) -> None:
        """Opened once, however often one looks; closed when a person decided."""
        first, again = alerts.look(held.settings), alerts.look(held.settings)
        journey.reject(held.settings, 1, reason="退回", by="李")

        assert ["held-batch"] == [alert.kind for alert in first]
        assert first == again
        assert [] == kinds(held)
        with held.settings.database.connect(Role.INGEST) as conn:
            (over,) = alerts.listed(conn, closed=9)
        assert over.closed_at is not None

    def test_another_batch_is_another_alert(self, held: City) -> None:
        """The second is not taken for the first that went on."""
        (first,) = alerts.look(held.settings)
        journey.reject(held.settings, 1, reason="退回", by="李")
        with pytest.raises(Held):
            journey.collect(held.settings, "residents")

        (second,) = alerts.look(held.settings)

        assert ((1, 2), False) == ((first.batch, second.batch), first.id == second.id)

    def test_far_more_in_quarantine_than_before(self, city_of: City, loosened: Loosen) -> None:
        """The share of the last batch is held against those of the ones before."""
        loosened("residents")
        for end, sex in (("1", "男"), ("2", "男"), ("3", "?")):
            rows = [resident(ADA, f"第{end}"), resident(BEN, f"第{end}"), resident(CAI, XBDM=sex)]
            city_of["residents"].sends(end, rows, "changes" if end > "1" else "snapshot")
            journey.collect(city_of.settings, "residents")

        (alert,) = alerts.look(city_of.settings)

        assert ("quarantine-jump", 3) == (alert.kind, alert.batch)
        assert "33.33% of its rows are in quarantine, 0.00% of those before" == alert.message

    @pytest.mark.parametrize(
        ("shares", "expected"),
        [
            ([], False),
            ([0.5], False),
            ([0.03, 0.01, 0.01], True),
            ([0.02, 0.015, 0.015], False),
            ([0.009, 0.0, 0.0], False),
            ([0.3, 0.2, 0.2], False),
        ],
        ids=["none", "first", "jump", "little more", "noise", "always bad"],
    )
    def test_what_a_jump_is(self, shares: list[float], expected: bool) -> None:
        """Twice what is usual, and more than noise."""
        assert expected is jumped(shares)

    def test_a_published_batch_that_does_not_add_up(self, city_of: City) -> None:
        """Its ledger row says that rows have no place."""
        city_of["residents"].sends("1", [resident(ADA)])
        journey.collect(city_of.settings, "residents")
        with city_of.settings.database.connect(Role.INGEST) as conn:
            conn.execute("UPDATE library.batch SET counts = counts || '{\"inserted\": 5}'")

        (alert,) = alerts.look(city_of.settings)

        assert ("reconcile-gap", "1 rows were landed and 5 have a place") == (
            alert.kind,
            alert.message,
        )


class TestAcknowledge:
    def test_somebody_knows(self, held: City) -> None:
        """Who and when are kept; the first who knew stays; the alert stays open."""
        (alert,) = alerts.look(held.settings)

        known = alerts.acknowledge(held.settings, alert.id, by="李")

        assert known == alerts.acknowledge(held.settings, alert.id, by="王")
        assert [known] == alerts.look(held.settings)

    def test_what_is_not_open_cannot_be_known(self, city_of: City) -> None:
        """Nor by nobody."""
        with pytest.raises(NotFound, match="no open alert 7"):
            alerts.acknowledge(city_of.settings, 7, by="李")
        with pytest.raises(Invalid, match="who"):
            alerts.acknowledge(city_of.settings, 7, by="")


class Desk(BaseHTTPRequestHandler):
    """Takes alerts, or refuses them."""

    took: list[dict[str, object]]
    status = 204

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).took.append(json.loads(body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Desk]]:
    """An address that alerts are posted to."""
    handler = type("ThisDesk", (Desk,), {"took": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("YIZHAN_ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/alerts")
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


class TestSinks:
    def test_a_line_and_a_post_once(
        self, held: City, desk: type[Desk], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Opened and closed are told once each, and neither names a person."""
        with caplog.at_level(logging.WARNING, "yizhan.alerts"):
            for _ in range(2):
                alerts.look(held.settings)
            journey.reject(held.settings, 1, reason="退回", by="李")
            alerts.look(held.settings)

        told = [json.loads(record.message) for record in caplog.records]
        assert ["opened", "closed"] == [line["alert"] for line in told]
        assert told == desk.took
        assert not {BEN, "秘密"} & set(caplog.text.split('"'))

    @pytest.mark.parametrize("how", ["refuses", "is gone"])
    def test_a_desk_that_does_not_take_it_is_asked_again(
        self, held: City, desk: type[Desk], monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        """The look itself succeeds; the next one tells what was not taken."""
        with monkeypatch.context() as trouble:
            if how == "refuses":
                trouble.setattr(desk, "status", 500)
            else:
                trouble.setenv("YIZHAN_ALERT_WEBHOOK", "http://127.0.0.1:9/alerts")
            assert ["held-batch"] == kinds(held)
        desk.took.clear()

        kinds(held)
        kinds(held)

        assert ["opened"] == [line["alert"] for line in desk.took]
