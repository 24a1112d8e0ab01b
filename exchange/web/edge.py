"""The outermost layer: what nobody caught becomes a problem document, and answers are counted.

An exception's own words may repeat what was sent, so of one that is not ours only its type and
place are logged.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exchange import problems

log = logging.getLogger(__name__)


class Counts:
    """Calls by route template and status."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, int]] = Counter()

    def add(self, route: str, status: int) -> None:
        """One more."""
        self._calls[route, status] += 1

    def lines(self) -> Iterator[str]:
        """The counts as Prometheus reads them."""
        for (route, status), count in sorted(self._calls.items()):
            yield f'yizhan_calls_total{{route="{route}",status="{status}"}} {count}'


class Edge:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp, counts: Counts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever fails, it is answered if nothing was sent yet."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception as err:  # noqa: BLE001 - the edge of the process
            log.error("unexpected %s at %s", type(err).__name__, _place(err))
            if status == 0:
                await problems.response(err)(scope, receive, counted)
        finally:
            self._counts.add(getattr(scope.get("route"), "path", "other"), status)


def _place(err: BaseException) -> str:
    frames = traceback.extract_tb(err.__traceback__)
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-4:]))
