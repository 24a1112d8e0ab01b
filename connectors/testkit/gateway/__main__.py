"""The gateway, a process of its own.

    python -m connectors.testkit.gateway --port 8102 --data FOLDER

    GET  /health
    POST {secret.path}      a working key for a signed request (body or headers)
    POST {call}             a page of a service's rows

Paths, headers, codes and words are those of the folder's dialect. Answers are HTTP 200 with a
code, as such platforms give them; only a requester that asks too often meets 429. Nothing is logged
of what was asked.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.feeds.dialects import Dialect, Part, dialect
from connectors.testkit.gateway.asking import Wanted
from connectors.testkit.gateway.folder import Config, Shelf
from connectors.testkit.gateway.guard import Guard, NoPass, TooOften

_SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass
class Gateway:
    """The endpoints over a folder."""

    words: Dialect
    guard: Guard
    shelf: Shelf

    @classmethod
    def of(cls, folder: Path, clock: Callable[[], float] = time.time) -> Gateway:
        """The gateway of a folder. Raises `Invalid`."""
        config = Config.read(folder)
        words = dialect(config.dialect, config.says)
        return cls(words, Guard(config, words, clock), Shelf(folder, config))

    def app(self) -> Starlette:
        """The application."""
        routes = [Route("/health", self.health)]
        if self.words.secret:
            routes.append(Route(self.words.secret.path, self.refresh, methods=["POST"]))
        routes.append(Route(self.words.call, self.call, methods=["POST"]))
        return Starlette(routes=routes)

    async def health(self, _request: Request) -> Response:
        """It runs."""
        return JSONResponse({"ok": True})

    async def refresh(self, request: Request) -> Response:
        """A working key."""
        try:
            wrapped, until = self.guard.refreshed(
                self._parts({**request.headers, **await _body(request)})
            )
        except NoPass as no:
            return self._said(no.code, no.message)
        ends = datetime.fromtimestamp(until, _SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
        return self._said(self.words.good[0], "ok", {"secret": wrapped, "secretEndTime": ends})

    async def call(self, request: Request) -> Response:
        """A page of rows."""
        parts = self._parts(request.headers)
        parts.setdefault("service", str(request.path_params.get("service", "")))
        try:
            passed = self.guard.check(parts)
            wanted = Wanted.read(
                await _body(request), self.words.body, self.shelf.config.largest_page
            )
            rows = await run_in_threadpool(self.shelf.rows, passed.service)
        except NoPass as no:
            return self._said(no.code, no.message)
        except TooOften as wait:
            headers = {"Retry-After": str(max(1, round(wait.wait_s)))}
            return JSONResponse({"message": str(wait)}, 429, headers=headers)
        except (KeyError, TypeError, ValueError, AttributeError):
            return self._said("-1", "the body asks for nothing that this service gives")
        page, total = wanted.of(rows)
        self.guard.took(passed, len(page))
        return self._said(self.words.good[0], "ok", {"total": total, "list": page})

    def _parts(self, named: Mapping[str, Any]) -> dict[Part, str]:
        """The parts of a signature among headers or members, whatever their case."""
        lower = {str(name).lower(): str(value) for name, value in named.items()}
        headers = self.words.headers.items()
        return {part: lower[name.lower()] for part, name in headers if name.lower() in lower}

    def _said(self, code: str, message: str, data: object = None) -> Response:
        return JSONResponse({"code": code, "message": message, "data": data})


async def _body(request: Request) -> dict[str, Any]:
    try:
        said = json.loads(await request.body())
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def main() -> None:
    """Serve a folder until a signal."""
    parser = argparse.ArgumentParser(prog="connectors.testkit.gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    uvicorn.run(
        Gateway.of(asked.data).app(),
        host="127.0.0.1",
        port=asked.port,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
