"""A queue that serves its flows in turn: one request's many photos hold up nobody else's."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")
_Flows = OrderedDict[Hashable, deque[T]]


class RoundRobin(Generic[T]):
    """Items of many flows: each flow's own in order, the flows one item at a time (Nagle 1987).

    Flows whose attribute `background` is true stand behind all others: of theirs something is taken
    only where nothing that is wanted is of another flow. Not safe for threads by itself.
    """

    def __init__(self) -> None:
        """Empty."""
        self._front: _Flows[T] = OrderedDict()
        self._behind: _Flows[T] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def count(self, wanted: Callable[[T], bool]) -> int:
        """How many wanted items there are."""
        every = chain(self._front.values(), self._behind.values())
        return sum(map(wanted, chain.from_iterable(every)))

    def push(self, flow: Hashable, item: T) -> None:
        """Add an item at the end of its flow; a new flow comes after all others of its class."""
        self._class_of(flow).setdefault(flow, deque()).append(item)
        self._size += 1

    def first(self, wanted: Callable[[T], bool] = lambda _: True) -> T | None:
        """The item that is next among those that are wanted and first of their flow."""
        every = (items[0] for flows in (self._front, self._behind) for items in flows.values())
        return next(filter(wanted, every), None)

    def take(self, limit: int, wanted: Callable[[T], bool] = lambda _: True) -> list[T]:
        """Take up to `limit` wanted items out, all of one class, one a flow and then round again.

        An item that is not wanted holds up its own flow only.
        """
        taken = _take(self._front, limit, wanted) or _take(self._behind, limit, wanted)
        self._size -= len(taken)
        return taken

    def discard(self, flow: Hashable, item: T) -> None:
        """Take an item out if it is still there."""
        flows = self._class_of(flow)
        items = flows.get(flow, deque())
        if item in items:
            items.remove(item)
            self._size -= 1
            if not items:
                del flows[flow]

    def _class_of(self, flow: Hashable) -> _Flows[T]:
        return self._behind if getattr(flow, "background", False) else self._front


def _take(flows: _Flows[T], limit: int, wanted: Callable[[T], bool]) -> list[T]:
    taken: list[T] = []
    served = True
    while served and len(taken) < limit:
        served = False
        for flow in list(flows):
            if len(taken) == limit:
                break
            items = flows[flow]
            if not wanted(items[0]):
                continue
            taken.append(items.popleft())
            served = True
            if items:
                flows.move_to_end(flow)
            else:
                del flows[flow]
    return taken
