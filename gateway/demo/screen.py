"""Draws the demo for people: waves, stragglers, devices, sales, items, one proof. Pure.

Fits 80 x 24. Colour only says what the words say too.
"""

from datetime import datetime, timedelta
from itertools import islice

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.demo.items import Items
from gateway.demo.sales import Sales
from gateway.demo.view import View
from gateway.hq.progress import Stage, Wave

WAVES_SHOWN = 4
STRAGGLERS_SHOWN = 2
COLUMNS = {"price wave": 20, "stage": 10, "": None, "shown": 7, "took": 6}
COLOR: dict[Stage, str] = {"converged": "green", "exceptions": "red", "refused": "red", "cancelled": "dim"}
STATE_COLOR = {"online": "green", "degraded": "yellow", "offline": "red", "parked": "red"}


class Screen:
    """A renderable of the view as it is when rich asks for it."""

    def __init__(self, view: View, now: datetime, elapsed: timedelta, seconds: float | None) -> None:
        self._view, self._now, self._elapsed, self._seconds = view, now, elapsed, seconds

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw from top to bottom what matters most first: a low terminal cuts off the end."""
        del console
        parts: list[RenderableType] = [
            self._head(),
            _waves(self._view, options.max_width),
            _stragglers(self._view),
            _devices(self._view, self._now, options.max_width),
            _promise(self._view),
            _sales(self._view),
            _items(self._view.items),
            _lines("proof", self._view.proof),
            _lines("note", list(self._view.notes)),
        ]
        yield Group(*parts)

    def _head(self) -> Text:
        until = f" of {self._seconds:g} s" if self._seconds else ", ctrl-c ends"
        shop = f"{len(self._view.script.labels)} labels, {len(self._view.script.products)} products"
        return Text(f"aisled demo   {shop}   {self._elapsed.total_seconds():.0f} s{until}", style="bold")


def _waves(view: View, width: int) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, cells in COLUMNS.items():
        table.add_column(name, width=cells, no_wrap=True, justify="right" if name in {"shown", "took"} else "left")
    bar_width = max(4, width - sum(cells or 0 for cells in COLUMNS.values()) - 2 * len(COLUMNS))
    newest = list(view.scenes)[-WAVES_SHOWN:]
    for name in newest:
        wave = view.progress.waves[name]
        table.add_row(name, Text(wave.stage, style=COLOR.get(wave.stage, "")), *_bar(wave, bar_width))
    for _ in range(WAVES_SHOWN - len(newest)):
        table.add_row("", "", "", "", "")
    return table


def _bar(wave: Wave, width: int) -> tuple[RenderableType, str, str]:
    took = [part.duration_s for part in wave.gateways.values() if part.duration_s is not None]
    count = f"{wave.shown}/{wave.labels}" if wave.labels else ""
    bar = ProgressBar(total=max(1, wave.labels), completed=wave.shown, width=width) if wave.labels else Text("")
    return bar, count, f"{max(took):.1f} s" if took else ""


def _stragglers(view: View) -> Text:
    waiting = {
        label: why
        for name in reversed(view.scenes)
        if view.progress.waves[name].stage in {"effective", "exceptions"}
        for label, why in view.progress.waves[name].stragglers().items()
    }
    lines = [f"  {label}  {why}" for label, why in islice(waiting.items(), STRAGGLERS_SHOWN)]
    lines += [""] * (STRAGGLERS_SHOWN - len(lines))
    return Text("\n".join([f"labels on their way: {len(waiting)}", *lines]), no_wrap=True, overflow="ellipsis")


def _devices(view: View, now: datetime, width: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for cells in (8, 8, 8, max(8, width - 3 * (8 + 2))):  # the last one as wide as it may be, or it squeezes the rest
        table.add_column(width=cells, no_wrap=True, overflow="ellipsis")
    for name, device in sorted(view.devices.items()):
        age = max(0, round((now - device.since).total_seconds()))
        what = f"{device.reason}: {device.evidence}"
        table.add_row(name, Text(device.state, style=STATE_COLOR.get(device.state, "")), f"{age} s", what)
    return table


def _promise(view: View) -> Text:
    harm, wrong = len(view.audit.harm()), len(view.wrong_labels())
    streams = view.ledger.report()
    events = sum(row["events"] for row in streams)
    missing = sum(last - first + 1 for row in streams for first, last in row["gaps"])
    text = Text("charged more than shown: ", no_wrap=True, overflow="ellipsis")
    text.append(f"{harm} times", style="bold red" if harm else "bold green")
    text.append(f"   labels to change: {wrong}   events: {events}, missing ")
    text.append(str(missing), style="red" if missing else "green")
    return text


def _sales(view: View) -> Text:
    sales, above = view.sales, len({above.paid.key for above in view.beside.above})
    if not sales.looked_at:
        return Text("sales: the tills open when the first prices are on the shelf\n", no_wrap=True, overflow="ellipsis")
    text = Text(f"sales: {len(sales.lines())} lines, ", no_wrap=True, overflow="ellipsis")
    text.append(f"{above} above the shelf", style="bold red" if above else "bold green")
    text.append(f", {view.beside.changing} while a label was changing\n")
    return text.append("  " + "   ".join(_till(sales, terminal) for terminal in sorted(sales.modes)))


def _till(sales: Sales, terminal: str) -> str:
    lines = sales.paid.get(terminal, [])
    if sales.modes[terminal] == "ask":
        return f"{terminal} asks for each scan: {len(lines)}"
    return f"{terminal} from its cache: {sum(line.from_cache for line in lines)} of {len(lines)}"


def _items(items: Items) -> Text:
    share = items.right_share()
    if share is None:
        return Text("items: the readers begin to hear them", no_wrap=True, overflow="ellipsis")
    text = Text(f"items: {items.known()}, {share:.0%} in the right zone, {len(items.sold)} sold and gone, ")
    text.append(f"{len(items.wrong())} of them an alarm", style="bold red" if items.wrong() else "bold green")
    return text.append(f"; stolen {len(items.stolen)}, alarms {len(items.stolen & items.alarms.keys())}")


def _lines(title: str, lines: list[str]) -> Text:
    body = "\n".join(f"{title}: {line}" if number == 0 else f"  {line}" for number, line in enumerate(lines))
    return Text(body, no_wrap=True, overflow="ellipsis")
