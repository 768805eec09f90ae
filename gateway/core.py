"""The one way in: a bounded inbox, rules, one commit, then the answer. Nobody acts or acknowledges before the commit.

Not here: what a message means (`prices/pricing.py` and other rules), how it is kept (`store/`). The inbox is bounded;
when the disk or the rules are slower than the devices, `emit` waits, which holds the device back and loses nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

from gateway.errors import GatewayError, StoreError
from gateway.messages import Command, Fact, Message, Reading

INBOX_ENTRIES = 256  # waiting calls of emit and submit; each carries what its caller had in hand
TURN_S = 0.0005  # of work; then whoever waits for the event loop, a till for a price above all, gets a turn
ROUNDS = 2  # of the event loop in a turn of others: a question is read in one and answered in the next
GATHER_TURNS = 3  # of the event loop: requests that have come but are not read yet share the commit
BATCH_MESSAGES = 1000  # most messages in one commit: 75 ms of work if all are of tills, 15 ms if of sensors

log = logging.getLogger(__name__)


class Rule(Protocol):
    """A pure rule: no await, no clock, no I/O. `hears` are the message classes it wants.

    A rule may also have `follows`: classes of what rules before it say (a sale, a count) that it wants to hear.
    """

    hears: tuple[type[Message], ...]

    def feed(self, message: Message) -> Sequence[Message]:
        """Return what follows: facts (kept and sent up) and notes to the store (commands)."""


@runtime_checkable
class LongRule(Rule, Protocol):
    """A rule whose answer to one message may take long: it gives the same as `feed` step by step."""

    def steps(self, message: Message) -> Iterable[Sequence[Message]]:
        """Yield what follows, a little at a time. No other message is fed before the end."""


class Appender(Protocol):
    """The store, as the core sees it."""

    async def append(self, messages: Sequence[Message]) -> None:
        """Keep all of it in one commit."""

    def refusal(self, messages: Sequence[Message]) -> StoreError | None:
        """Return why these may not be kept: new input while what waits for head office is at its quota."""


class _Entry(NamedTuple):
    messages: Sequence[Message]
    done: asyncio.Future[list[Message]]

    @property
    def weight(self) -> int:
        return sum([message.weight for message in self.messages])


class _Answer(NamedTuple):
    done: asyncio.Future[list[Message]]
    kept: list[Message]


async def _nothing() -> None:
    """No rule keeps state."""


def _nobody(_: Sequence[Message]) -> None:
    """No view follows the commits."""


class Core:
    """The inbox and its single consumer. `rebuild` makes the rules anew from the store when they may be wrong.

    `committed` is told what is on disk, batch by batch, before anybody is answered; the rules know no more then.
    """

    def __init__(
        self,
        store: Appender,
        rules: Sequence[Rule],
        *,
        rebuild: Callable[[], Awaitable[None]] = _nothing,
        committed: Callable[[Sequence[Message]], None] = _nobody,
    ) -> None:
        self._store = store
        self._rules = tuple(rules)
        self._steps = tuple(r.steps if isinstance(r, LongRule) else partial(_one_step, r) for r in rules)
        self._one_batch, self._turn_ends = asyncio.Lock(), 0.0
        self._rebuild, self._committed = rebuild, committed
        self._inbox: asyncio.Queue[_Entry] = asyncio.Queue(INBOX_ENTRIES)
        self._hearers: dict[type[Message], tuple[int, ...]] = {}
        self._followers: dict[type[Message], tuple[int, ...]] = {}
        self.batches = 0  # commits so far: the watchdog looks whether it grows while the inbox is not empty

    async def emit(self, *messages: Reading | Fact) -> None:
        """Return when every fact given is on disk, with all that follows from it."""
        await self._put(messages)

    async def submit(self, *commands: Command | Fact) -> list[Fact]:
        """Carry out orders; return the facts they led to, after the commit."""
        return [message for message in await self._put(commands) if isinstance(message, Fact)]

    async def ask(self, *commands: Command) -> list[Message]:
        """Carry out orders; return all that was kept for them, after the commit."""
        return await self._put(commands)

    @property
    def waiting(self) -> int:
        """Calls that wait in the inbox."""
        return self._inbox.qsize()

    async def _put(self, messages: Sequence[Message]) -> list[Message]:
        done: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        await self._inbox.put(_Entry(messages, done))
        return await done

    async def run(self) -> None:
        """Consume until cancelled; a batch in hand is finished first."""
        while True:
            first = await self._inbox.get()
            await asyncio.shield(asyncio.ensure_future(self._batch(first)))

    async def drain(self) -> None:
        """Commit what still waits (call after `run` was cancelled and the devices are silent)."""
        async with self._one_batch:
            pass  # the batch in hand, if `run` was cancelled in the middle of it
        while not self._inbox.empty():
            await self._batch(self._inbox.get_nowait())

    def _gather(self, first: _Entry) -> list[_Entry]:
        entries, count = [first], first.weight
        while count < BATCH_MESSAGES and not self._inbox.empty():
            entry = self._inbox.get_nowait()
            entries.append(entry)
            count += entry.weight
        return entries

    async def _batch(self, first: _Entry) -> None:
        async with self._one_batch:  # also when `drain` comes while the last batch of `run` is in hand
            for _ in range(GATHER_TURNS):
                await asyncio.sleep(0)
            await self._commit(self._gather(first))

    async def _commit(self, entries: list[_Entry]) -> None:
        self._turn_ends = asyncio.get_running_loop().time() + TURN_S
        kept: list[Message] = []
        answers: list[_Answer] = []
        for entry in entries:
            refused = self._store.refusal(entry.messages)
            if refused is not None:
                _fail([_Answer(entry.done, [])], refused)
                continue
            try:
                followed = await self._consequences(entry.messages)
            except Exception as bug:
                log.exception("a rule failed; this message is not taken", extra={"kind": _kinds(entry)})
                _fail([_Answer(entry.done, [])], GatewayError(f"internal error, see the gateway's log: {bug!r}"))
                await self._append(kept, answers, rebuild=True)
                kept, answers = [], []
                continue
            kept.extend(followed)
            answers.append(_Answer(entry.done, followed))
        await self._append(kept, answers)

    async def _append(self, kept: list[Message], answers: list[_Answer], *, rebuild: bool = False) -> None:
        try:
            if kept:
                await self._store.append(kept)
        except GatewayError as error:
            _fail(answers, error)
            await self._rebuild()  # the rules are ahead of the disk
            return
        if rebuild:
            await self._rebuild()  # before anybody looks: the rules hold half of a message that was not kept
        self.batches += 1
        self._committed(kept)
        for done, followed in answers:
            if not done.done():
                done.set_result(followed)

    async def _consequences(self, messages: Sequence[Message]) -> list[Message]:
        kept: list[Message] = []
        for message in messages:
            if not isinstance(message, Reading):
                kept.append(message)
            for number in self._hear(type(message)):
                await self._feed(number, message, kept)
        return kept

    async def _feed(self, number: int, message: Message, kept: list[Message]) -> None:
        """Let one rule hear a message, and the rules after it what it says: never back, so there is an end."""
        for step in self._steps[number](message):
            for said in step:
                kept.append(said)
                for later in self._follow(type(said)):
                    if later > number:
                        await self._feed(later, said, kept)
            await self._let_others()

    async def _let_others(self) -> None:
        """Give the event loop to others now and then. They read what the rules know; nothing is fed meanwhile."""
        now = asyncio.get_running_loop().time()
        if now >= self._turn_ends:
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            self._turn_ends = asyncio.get_running_loop().time() + TURN_S

    def _hear(self, kind: type[Message]) -> tuple[int, ...]:
        found = self._hearers.get(kind)
        if found is None:
            found = tuple(n for n, rule in enumerate(self._rules) if issubclass(kind, rule.hears))
            self._hearers[kind] = found
        return found

    def _follow(self, kind: type[Message]) -> tuple[int, ...]:
        found = self._followers.get(kind)
        if found is None:
            wanted = [getattr(rule, "follows", ()) for rule in self._rules]
            found = self._followers[kind] = tuple(n for n, kinds in enumerate(wanted) if issubclass(kind, kinds))
        return found


def _one_step(rule: Rule, message: Message) -> tuple[Sequence[Message]]:
    return (rule.feed(message),)


def _fail(answers: list[_Answer], error: GatewayError) -> None:
    for done, _ in answers:
        if not done.done():
            done.set_exception(error)


def _kinds(entry: _Entry) -> str:
    return ", ".join(sorted({type(message).__name__ for message in entry.messages}))
