"""The demo's screen and verdict, on events as a gateway sends them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from gateway.demo.sales import Beside
from gateway.demo.screen import Screen
from gateway.demo.script import Scene, Script
from gateway.demo.verdict import Ending, figures
from gateway.demo.view import DeviceLine, View
from gateway.hq.wire import Event

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LABELS = [f"0000021B2C3D{number:04X}" for number in range(20)]


class Gateway:
    """Says what a gateway would say of a wave that goes well."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.sequence = 0

    def tell(self, event_type: str, **data: Any) -> None:
        self.sequence += 1
        one = Event(
            f"gw1-b-{self.sequence}", "demo", "gw1", "ap-1", "business", event_type, NOW, self.sequence, None, data, {}
        )
        self.view.feed(one)

    def accept(self, scene: Scene, labels: int) -> None:
        instant = {"effective_at": NOW.isoformat(), "effective_local": "08:00"}
        data = {"kind": "change", "lines": len(scene.prices), "refused": scene.bad_lines, "labels": labels}
        self.tell("price.wave.accepted", wave=scene.wave, sequence=1, issuer="hq", **instant, **data)

    def show(self, scene: Scene, label: str, gtin: str, price: int) -> None:
        said = {"label": label, "gtin": gtin, "price_minor": price, "wave": scene.wave, "revision": 1}
        digest = f"{label}-{price}"
        self.tell("label.sent", digest=digest, **said)
        self.view.audit.see(label, NOW, digest)
        self.tell("label.shown", digest=digest, **said)
        self.tell("price.charged", gtin=gtin, price_minor=price)


@pytest.fixture
def view() -> View:
    """Return a shop in which the first wave has converged."""
    view = View(Script(LABELS))
    scene = view.script.opening(NOW)
    view.sent(scene)
    gateway = Gateway(view)
    gateway.accept(scene, len(LABELS))
    for binding in view.script.bindings():
        assert binding.gtin is not None
        gateway.show(scene, binding.label, binding.gtin, scene.prices[binding.gtin])
    gateway.tell("price.wave.converged", wave=scene.wave, labels=len(LABELS), duration_s=12.5)
    return view


def sell(view: View, terminal: str, price: int, *, cached: bool) -> None:
    """Let a shopper pay one piece of the first product, by the till's ground truth."""
    line = {"terminal": terminal, "basket": "b-1", "line": 1, "gtin": view.script.products[0].gtin, "lease": "held"}
    line |= {"scanned_minor": price, "unit_price_minor": price, "amount_minor": price, "from_cache": cached}
    view.see_till(terminal, {"lines": [line | {"priced_at": NOW.isoformat()}]}, NOW + timedelta(seconds=1))


def drawn(view: View, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(Screen(view, NOW + timedelta(seconds=40), timedelta(seconds=40), 60), height=height)
    return capture.get().splitlines()


def test_all_is_well(view: View) -> None:
    found = figures(view, Ending(0, 1.2), 60)
    assert (found["ok"], found["broken"]) == (True, [])
    assert (found["labels"], found["products"], found["uploads_per_changed_label"]) == (20, 18, 1.0)
    assert (found["waves_converged"], found["converge_max_s"], found["missing_events"]) == (1, 12.5, 0)


def test_each_broken_promise_is_named(view: View) -> None:
    scene = view.script.scene("bad lines", NOW)
    view.sent(scene)
    view.script.scene("later", NOW)
    gateway = Gateway(view)
    gateway.sequence = 500
    gateway.tell("price.charged", gtin=view.script.products[0].gtin, price_minor=10**6)
    found = figures(view, Ending(1, 1.2), 60)
    text = "\n".join(found["broken"])
    for promise in ["the till charged 1000000", "did not converge", "0 of 2 bad lines", "are missing", "ended with 1"]:
        assert promise in text
    assert found["ok"] is False
    assert found["overcharged"] == 2  # the product has two labels


def test_sales_are_counted_and_each_wrong_one_is_named(view: View) -> None:
    price = view.script.prices[view.script.products[0].gtin]
    view.sales.modes |= {"sco-1": "ask", "sco-2": "cache"}
    sell(view, "sco-1", price, cached=False)
    sell(view, "sco-2", price + 1, cached=True)
    gateway = Gateway(view)
    gateway.sequence = view.ledger.report()[0]["last"]
    gateway.tell("sale.line", terminal="sco-1", basket="b-1", line=1, amount_minor=price)
    gateway.tell("sale.line", terminal="sco-1", basket="b-1", line=1, amount_minor=price)
    gateway.tell("price.mismatch", terminal="sco-2", charged_minor=price + 1, gtin="06901", direction="over")
    found = figures(view, Ending(0, 1.2), 60)
    counted = {name: found[name] for name in found if name.startswith("sale")}
    assert counted == {
        "sale_lines": 2,
        "sales_from_cache": 1,
        "sales_above_shelf": 1,  # one line, although the product has two labels
        "sales_while_changing": 1,
        "sales_missing": 1,
        "sales_twice": 1,
        "sales_wrong": 0,
        "sales_sum_minor": 2 * price + 1,
        "sale_mismatches": 1,
    }
    text = "\n".join(found["broken"])
    for promise in [f"sco-2 sold {view.script.products[0].gtin} at {price + 1}", "never reached", "more than once"]:
        assert promise in text
    assert "the gateway says that sco-2 charged" in text
    assert found["ok"] is False


@pytest.mark.parametrize("size", [(80, 24), (120, 50), (60, 20)])
def test_the_screen_fits(view: View, size: tuple[int, int]) -> None:
    later = view.script.scene("rise", NOW)
    view.sent(later)
    gateway = Gateway(view)
    gateway.sequence = view.ledger.report()[0]["last"]
    gateway.accept(later, 7)
    gateway.tell("price.wave.effective", wave=later.wave, products=2, labels=7, overtaken=0)
    for label in LABELS[:5]:
        gateway.tell("label.sent", label=label, gtin="0", price_minor=1, digest="d", wave=later.wave, revision=2)
    gateway.tell("device.state", state="online", reason="ap_answers", evidence="100 tags", next_step="none")
    gateway.tell("price.line.refused", wave=later.wave, part=1, line=3, gtin=None, reason="check digit " + "x" * 200)
    view.sales.modes |= {"sco-1": "ask", "sco-2": "cache"}
    sell(view, "sco-1", 1, cached=False)
    sell(view, "sco-2", 1, cached=True)
    view.proof = ["06901234567892, 2026-11-22 08:00", "  till:  ¥12.90 CNY " + "y" * 200]
    width, height = size
    lines = drawn(view, width, height)
    assert len(lines) <= max(24, height)
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert "w01-opening-prices" in text
    assert "converged" in text
    assert "20/20" in text
    assert f"{LABELS[0]}  sent, not proven" in text
    assert "labels on their way: 5" in text
    assert "charged more than shown: 0 times" in text
    assert "sales: 2 lines, 0 above the shelf, 2 while a label" in text
    assert "  sco-1 asks for each scan: 1   sco-2 from its cache: 1 of 1" in text
    assert "ap-1" in text
    assert "40 s" in text


def test_in_80_by_24_the_sales_are_not_cut_off(view: View) -> None:
    for device in ("ap-1", "ap-2", "hq", "tills"):
        view.devices[device] = DeviceLine("online", "why", "evidence " * 20, NOW)
    view.sales.looked_at["sco-1"] = NOW
    view.proof = ["proof"] * 4
    view.notes.extend(["note"] * 3)
    view.beside = Beside((), 1234)
    lines = drawn(view)
    assert len(lines) == 24
    assert lines[-1].strip() == "note"
    assert sum(line.startswith(("ap-1      online    40 s", "tills     online    40 s")) for line in lines) == 2
    assert any(line.rstrip() == "sales: 0 lines, 0 above the shelf, 1234 while a label was changing" for line in lines)


def test_before_the_tills_open_the_screen_says_so(view: View) -> None:
    assert any("the tills open when" in line for line in drawn(view))


def test_an_empty_view_can_be_drawn() -> None:
    assert any("aisled demo" in line for line in drawn(View(Script(LABELS))))


def test_the_script_plays_every_scene_with_valid_prices() -> None:
    script = Script(LABELS)
    script.opening(NOW)
    scenes = script.scenes()
    played = [script.scene(next(scenes), NOW) for _ in range(10)]
    assert len({scene.wave for scene in played}) == 10
    assert [scene.bad_lines for scene in played[:5]] == [0, 0, 0, 0, 2]
    assert played[3].cancels == played[2].wave
    assert all(price > 0 for price in script.prices.values())
    assert len(script.labels_of(script.products[0].gtin)) == 2
