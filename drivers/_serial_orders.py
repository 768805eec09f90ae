"""Orders to write a tag wait here until the task that owns the line has a moment between two inventories. Bounded.

Not here: what an order does to a tag (`_serial_writes.py`).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from gateway.driver import TagOrder
from gateway.errors import DeviceError, LinkDown, Rejected

MOST = 4
ORDER_S = 30.0  # to wait and to be done; a lock that reads and writes everything takes about 5 s


class Orders:
    """Orders of one driver. `with orders.taken():` while somebody works on them."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[TagOrder, asyncio.Future[None]]] = deque()
        self._taken = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def submit(self, order: TagOrder) -> None:
        """Return when it is done and checked. Raises Rejected with the reason."""
        if not self._taken:
            raise Rejected("the reader is not connected")
        if len(self._waiting) >= MOST:
            raise Rejected(f"{MOST} orders wait already; try again in a moment")
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((order, done))
        try:
            async with asyncio.timeout(ORDER_S):
                await done
        except TimeoutError as error:
            raise Rejected(f"not done within {ORDER_S:g} s; look at the tag before you try again") from error

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take orders in from here on; those that are left at the end are refused."""
        self._taken = True
        try:
            yield
        finally:
            self._taken = False
            while self._waiting:
                _end(self._waiting.popleft()[1], Rejected("the reader is not connected any more; nothing was done"))

    async def work(self, do: Callable[[TagOrder], Awaitable[None]]) -> None:
        """Do what waits. A refusal goes to the sender; a broken link goes on to the caller as well."""
        while self._waiting:
            order, done = self._waiting.popleft()
            if done.cancelled():  # its sender has given up: it must not happen behind his back
                continue
            broken: DeviceError = Rejected("stopped in the middle; look at the tag before you try again")
            try:
                await do(order)
            except Rejected as error:
                broken = error
            except LinkDown as error:
                broken = Rejected(f"{error}; look at the tag before you try again")
                raise
            else:
                _end(done, None)
            finally:
                _end(done, broken)


def _end(done: "asyncio.Future[None]", error: DeviceError | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
