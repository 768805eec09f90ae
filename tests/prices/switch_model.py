"""The safe switch as an executable specification: an adversary that delays, loses, repeats and resurrects what it can.

One product, two labels, one online till, one caching till. `test_switch.py` explores it and holds the code to it.
State: wanted, waves left, online charge, till (cache | 0, message | 0, may_charge), labels. A label: glass, in flight,
may_show, bound.
"""

from collections import deque
from collections.abc import Iterator

PRICES, WAVES = (1, 2, 3), 3
START = (2, WAVES, 2, (2, 0, frozenset({2})), ((2, frozenset(), frozenset({2}), True),) * 2)
RULES = ("guards", "no-show-guard", "no-charge-guard", "trust-first-ack", "forget-unbound")

Label = tuple[int, frozenset[int], frozenset[int], bool]
State = tuple[int, int, int, tuple[int, int, frozenset[int]], tuple[Label, ...]]


def steps(state: State, rule: str = "guards") -> Iterator[tuple[str, State]]:
    """Return every (text, state) that can follow; texts of the gateway's own acts start with charge, send, push."""
    wanted, waves, charge, till, labels = state
    for price in PRICES if waves else ():
        if price != wanted:
            yield f"wave {price}", (price, waves - 1, charge, till, labels)
    yield from _gateway(state, rule)
    yield from _till(state)
    for number, label in enumerate(labels):
        for text, after in _label(number, label, rule):
            yield text, (wanted, waves, charge, till, (*labels[:number], after, *labels[number + 1 :]))


def _gateway(state: State, rule: str) -> Iterator[tuple[str, State]]:
    wanted, waves, charge, (cache, sent, may), labels = state
    allowed = wanted if rule == "no-show-guard" else min(wanted, _low(labels, rule))
    if allowed != charge:
        yield f"charge {allowed}", (wanted, waves, allowed, (cache, sent, may), labels)
    if not sent and allowed != cache:
        yield f"send {allowed}", (wanted, waves, charge, (cache, allowed, may | {allowed}), labels)
    for number, (glass, flight, show, bound) in enumerate(labels):
        free = rule == "no-charge-guard" or wanted >= max({charge} | may)
        if bound and wanted not in flight and show != {wanted} and free:
            after = (glass, flight | {wanted}, show | {wanted}, bound)
            yield f"push {number}", (
                wanted, waves, charge, (cache, sent, may), (*labels[:number], after, *labels[number + 1 :]),
            )  # fmt: skip


def _till(state: State) -> Iterator[tuple[str, State]]:
    wanted, waves, charge, (cache, sent, may), labels = state
    if sent:
        yield "till has it", (wanted, waves, charge, (sent, 0, frozenset({sent})), labels)
        yield "till message lost", (wanted, waves, charge, (cache, 0, may), labels)
    if cache:
        left = frozenset({sent}) if sent else frozenset()
        yield "lease over", (wanted, waves, charge, (0, sent, left), labels)


def _label(number: int, label: Label, rule: str) -> Iterator[tuple[str, Label]]:
    glass, flight, show, bound = label
    for price in flight:
        yield f"{number} draws {price}", (price, flight - {price}, show, bound)
        yield f"{number} draws {price}, copy stays", (price, flight, show, bound)
        yield f"{number} drops {price}", (glass, flight - {price}, show, bound)
    believed = rule == "trust-first-ack" and glass in show and len(show) > 1
    if believed or (not flight and show != {glass}):
        yield f"{number} proven {glass}", (glass, flight, frozenset({glass}), bound)
    if bound and number == 1:
        yield "unbind 1", (glass, flight, show, False)


def _low(labels: tuple[Label, ...], rule: str) -> int:
    counted = [min(show) for _, _, show, bound in labels if show and (bound or rule != "forget-unbound")]
    return min(counted, default=max(PRICES))


def harm(state: State) -> bool:
    """Tell whether a till charges more than a label shows."""
    _, _, charge, (cache, _, _), labels = state
    return any(max(charge, cache) > glass for glass, _, _, _ in labels)


def explore(rule: str = "guards") -> tuple[dict[State, tuple[str, State] | None], State | None]:
    """Return all states reached (with the step that led there) and the first harmful one."""
    seen: dict[State, tuple[str, State] | None] = {START: None}
    queue = deque([START])
    while queue:
        state = queue.popleft()
        if harm(state):
            return seen, state
        for text, after in steps(state, rule):
            if after not in seen:
                seen[after] = (text, state)
                queue.append(after)
    return seen, None
