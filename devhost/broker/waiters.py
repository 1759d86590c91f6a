"""Who waits for what, first come first served: a line of waiting calls, each answered once or withdrawn."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator

from devhost.broker.errors import BrokerError


class Waiter[Wish, Answer]:
    """One waiting call: what it wants, and the future that gets the answer."""

    __slots__ = ("answer", "wish")

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class Line[Wish, Answer]:
    """Waiters in the order of their coming; joining, leaving and serving the first each cost the same at any length."""

    def __init__(self) -> None:
        self._waiters: OrderedDict[Waiter[Wish, Answer], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter[Wish, Answer]]:
        return iter(self._waiters)

    def join(self, waiter: Waiter[Wish, Answer]) -> None:
        """Stand at the end."""
        self._waiters[waiter] = None

    def leave(self, waiter: Waiter[Wish, Answer]) -> None:
        """Withdraw, if still there."""
        self._waiters.pop(waiter, None)

    def first(self) -> Waiter[Wish, Answer]:
        """Who is next; there must be one."""
        return next(iter(self._waiters))

    def fail(self, error: BrokerError) -> None:
        """Answer everybody with `error`."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.answer.done():
                waiter.answer.set_exception(error)
