"""Make the next item while this one is worked on: a generator on a thread of its own.

For work that lets go of Python's lock (drivers, polars, sockets); an item that is being made and
one that waits are all that is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], waiting: int = 2) -> Iterator[T]:
    """`items`, made up to `waiting` ahead; what making them raises is raised here."""
    maker = _Maker(items, waiting)
    maker.start()
    try:
        while (made := maker.next()) is not _END:
            yield made  # type: ignore[misc]  # the one other thing in the queue is _END
    finally:
        maker.stop()


_END = object()


class _Maker(Thread, Generic[T]):
    def __init__(self, items: Iterable[T], waiting: int) -> None:
        super().__init__(daemon=True)
        self._items = items
        self._made: Queue[object] = Queue(waiting)
        self._unwanted = Event()
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as err:  # noqa: BLE001 - it belongs to whoever takes the items
            self._failure = err
        self._put(_END)

    def next(self) -> object:
        made = self._made.get()
        if made is _END and self._failure is not None:
            raise self._failure
        return made

    def stop(self) -> None:
        """End the thread, and with it the generator that it runs."""
        self._unwanted.set()
        with suppress(Empty):
            while True:
                self._made.get_nowait()
        self.join()

    def _put(self, item: object) -> bool:
        while not self._unwanted.is_set():
            with suppress(Full):
                self._made.put(item, timeout=0.1)
                return True
        return False
