"""Long work in short steps: what a rule does to 30 000 products must not keep a till waiting for a price. Pure.

A step is what follows from a part of the work, often nothing. All steps of one message are one commit, and no other
message comes between them: only those who read (a till's look-up) are let in. The core decides when (`core.py`).
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from gateway.messages import Message

PAGE = 50  # items of a list in one step: well below a millisecond
T = TypeVar("T")

Step = Sequence[Message]
Steps = Iterator[Step]
Work = Generator[Step, None, T]  # steps on the way to a result
PAUSE: Step = ()  # a step that nothing follows from


def finished(work: Work[T]) -> T:
    """Return the result, all steps done at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def pages(items: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    """Yield the items, a few at a time."""
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page
