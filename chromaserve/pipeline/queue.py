"""A queue that serves its flows in turn: one request's many photos hold up nobody else's."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class RoundRobin(Generic[T]):
    """Items of many flows: each flow's own in order, the flows one item at a time (Nagle 1987).

    Not safe for threads by itself.
    """

    def __init__(self) -> None:
        """Empty."""
        self._flows: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def count(self, wanted: Callable[[T], bool]) -> int:
        """How many wanted items there are."""
        return sum(map(wanted, chain.from_iterable(self._flows.values())))

    def push(self, flow: Hashable, item: T) -> None:
        """Add an item at the end of its flow; a new flow comes after all others."""
        self._flows.setdefault(flow, deque()).append(item)
        self._size += 1

    def first(self, wanted: Callable[[T], bool] = lambda _: True) -> T | None:
        """The item that is next among those that are wanted and first of their flow."""
        return next((items[0] for items in self._flows.values() if wanted(items[0])), None)

    def take(self, limit: int, wanted: Callable[[T], bool] = lambda _: True) -> list[T]:
        """Take up to `limit` wanted items out, one a flow and then round again.

        An item that is not wanted holds up its own flow only.
        """
        taken: list[T] = []
        served = True
        while served and len(taken) < limit:
            served = False
            for flow in list(self._flows):
                if len(taken) == limit:
                    break
                items = self._flows[flow]
                if not wanted(items[0]):
                    continue
                taken.append(items.popleft())
                served = True
                if items:
                    self._flows.move_to_end(flow)
                else:
                    del self._flows[flow]
        self._size -= len(taken)
        return taken

    def discard(self, flow: Hashable, item: T) -> None:
        """Take an item out if it is still there."""
        items = self._flows.get(flow, deque())
        if item in items:
            items.remove(item)
            self._size -= 1
            if not items:
                del self._flows[flow]
