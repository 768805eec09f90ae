"""Cuts the transactions of a sales document into commits: small ones, so that tills are answered in between. Pure.

The rule works on a commit in one go, and while it does no price is looked up. Measured: 30 us a line, so some 15 ms for
the 500 lines of a full commit. Not here: what becomes of them (`checkout_poslog.py`, `_checkout_poslog.py`).
"""

from collections.abc import Iterator

from drivers._poslog_types import PosTransaction

AT_ONCE = 50  # transactions
LINES_AT_ONCE = 500


def batches(waiting: list[PosTransaction], *, rest: bool = False) -> Iterator[list[PosTransaction]]:
    """Take full batches off the front of `waiting`, with `rest` all that is there.

    A transaction is never cut: one with more lines than a batch may have is a batch of its own.
    """
    while waiting and ((count := _fitting(waiting)) < len(waiting) or rest):
        yield waiting[:count]
        del waiting[:count]


def _fitting(waiting: list[PosTransaction]) -> int:
    lines = 0
    for count, one in enumerate(waiting[:AT_ONCE]):
        lines += len(one.lines)
        if count and lines > LINES_AT_ONCE:
            return count
    return min(len(waiting), AT_ONCE)
