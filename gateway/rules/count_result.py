"""What a count found: each item, each product, the whole shop. Pure; the numbers of one session in, verdicts out.

An item that was not heard is `missing`; how surely it is gone depends on how much of its zone was heard: with G the
share of items that are gone in any shop, P(gone | not heard) = G / (G + (1 - G) * (1 - coverage)). Heard, but known to
be in a zone that was not counted: `elsewhere`. Sold, left, or a visitor's: `gone`, neither expected nor counted.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gateway.count_notes import Counted
from gateway.messages import CountRow
from gateway.rules.count_session import CountSession

GONE = 0.02  # share of items that are lost between two counts: shrinkage in retail is 1 to 2 %
LIKELY = 0.5  # an item that was not heard counts as there unless it is more likely gone
COVERED = 0.9  # below, a count says too little to correct what should be there

Verdict = Literal["found", "missing", "unexpected", "elsewhere", "gone"]


class Known(NamedTuple):
    """What is known of an item otherwise: where it is, whether it is the shop's (not sold, gone, or a visitor's).

    `inbound`: it came at goods in, and nobody has said yet that it was received.
    """

    zone: str
    in_stock: bool
    inbound: bool = False


@dataclass
class Tally:
    """The items of one product by verdict. `doubt`: for each missing one how surely it is gone."""

    expected: int = 0
    found: int = 0
    missing: int = 0
    unexpected: int = 0
    doubt: list[float] = field(default_factory=list)

    def row(self, gtin: str | None) -> CountRow:
        """Return it as told."""
        sure = sum(self.doubt) / len(self.doubt) if self.doubt else 1.0
        return CountRow(gtin, self.expected, self.found, self.missing, self.unexpected, round(sure, 3))

    def counted(self, gtin: str) -> Counted:
        """Return how many there are: those heard, and those not heard that are more likely there than gone."""
        there = sum(sure < LIKELY for sure in self.doubt)
        return Counted(gtin, self.found + self.unexpected + there, self.row(gtin).confidence)


@dataclass(frozen=True)
class Result:
    """A count's result. `undecoded`: heard, and the EPC tells no product. `came`: heard, and not received yet."""

    verdicts: dict[str, Verdict]
    rows: tuple[CountRow, ...]
    counted: tuple[Counted, ...]
    coverage: float | None
    undecoded: int
    came: frozenset[str]

    def total(self, name: Literal["expected", "found", "missing", "unexpected"]) -> int:
        """Return a sum over all products."""
        return sum(getattr(row, name) for row in self.rows)


def result(session: CountSession, known: Callable[[str], Known | None]) -> Result:
    """Judge everything that was expected or heard. `known` tells what else is known of an item."""
    verdicts = dict(_verdicts(session, known))
    lines = session.opened.lines
    tallies = _by_items(session, verdicts) if lines is None else _by_lines(session, verdicts, dict(lines))
    order = sorted(tallies, key=lambda gtin: (gtin is None, gtin or ""))
    return Result(
        verdicts=verdicts,
        rows=tuple(tallies[gtin].row(gtin) for gtin in order),
        counted=tuple(tallies[gtin].counted(gtin) for gtin in order if gtin is not None),
        coverage=session.coverage(),
        undecoded=sum(item.gtin is None for item in session.seen.values()),
        came=frozenset(epc for epc in session.seen if (item := known(epc)) is not None and item.inbound),
    )


def gone_when_unheard(coverage: float | None) -> float:
    """Return how likely an item that was not heard is gone, by the share of its zone that was heard."""
    return GONE / (GONE + (1 - GONE) * (1 - (coverage or 0)))


def _verdicts(session: CountSession, known: Callable[[str], Known | None]) -> Iterator[tuple[str, Verdict]]:
    receiving = session.opened.kind == "receiving"  # then what was heard has come, wherever it went on to meanwhile
    for epc in {**session.expected, **session.seen}:
        item = known(epc)
        if item is not None and not item.in_stock:
            yield epc, "gone"
        elif epc not in session.seen:
            yield epc, "missing"
        elif epc in session.expected:
            yield epc, "found"
        else:
            there = item is not None and not receiving and item.zone not in session.zones
            yield epc, "elsewhere" if there else "unexpected"


def _by_items(session: CountSession, verdicts: Mapping[str, Verdict]) -> dict[str | None, Tally]:
    sure = {zone: gone_when_unheard(session.coverage((zone,))) for zone in session.zones}
    tallies: dict[str | None, Tally] = defaultdict(Tally)
    for epc, verdict in verdicts.items():
        item = session.expected.get(epc)
        if verdict == "unexpected":
            tallies[session.seen[epc].gtin].unexpected += 1
        elif item is not None and verdict != "gone":
            tally = tallies[item.gtin]
            tally.expected += 1
            tally.found += verdict == "found"
            if verdict == "missing":
                tally.missing += 1
                tally.doubt.append(sure.get(item.zone, gone_when_unheard(session.coverage())))
    return dict(tallies)


def _by_lines(
    session: CountSession, verdicts: Mapping[str, Verdict], lines: Mapping[str, int]
) -> dict[str | None, Tally]:
    heard: dict[str | None, int] = defaultdict(int)
    for epc, item in session.seen.items():
        heard[item.gtin] += verdicts[epc] in ("found", "unexpected")
    sure = gone_when_unheard(session.coverage())
    tallies: dict[str | None, Tally] = {}
    for gtin in {*lines, *heard}:
        wanted = lines.get(gtin, 0) if gtin is not None else 0
        found = min(wanted, heard[gtin])
        missing = wanted - found
        tallies[gtin] = Tally(wanted, found, missing, heard[gtin] - found, [sure] * missing)
    return tallies
