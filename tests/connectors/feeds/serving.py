"""A source over real sockets that answers as a test says: pages, rests, lies, cut lines."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One question as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """One answer; `cut` closes the line before the body is whole, `slow` waits before each part."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    slow: float = 0.0


Answer = Callable[[Asked], Reply]


@dataclass
class Served:
    """A running source."""

    url: str
    asked: list[Asked]

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.path for asked in self.asked]


def said(document: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(
        json.dumps(document, ensure_ascii=False).encode(),
        status,
        {"Content-Type": "application/json", **named},
    )


@contextmanager
def serving(answer: Answer) -> Iterator[Served]:
    """Answer like `answer` on a free port."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            question = Asked(
                self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), body
            )
            asked.append(question)
            self._send(answer(question))

        def _send(self, reply: Reply) -> None:
            self.send_response_only(reply.status)
            headers = {"Date": self.date_time_string(), **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body) + (9 if reply.cut else 0)))
            self.end_headers()
            step = max(1, len(reply.body) // 10) if reply.slow else max(1, len(reply.body))
            try:
                for start in range(0, len(reply.body), step):
                    time.sleep(reply.slow)
                    self.wfile.write(reply.body[start : start + step])
                    self.wfile.flush()
            except OSError:
                self.close_connection = True  # the reader went away
            if reply.cut:
                self.close_connection = True

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
