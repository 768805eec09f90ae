"""What the demo knows at this moment, as head office sees it; `screen.py` draws it, `verdict.py` judges it."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.demo.audit import Audit
from gateway.demo.items import Items
from gateway.demo.sales import Beside, Sales, beside_shelf
from gateway.demo.script import Scene, Script
from gateway.hq.completeness import Ledger
from gateway.hq.progress import Progress
from gateway.hq.wire import Event


@dataclass(frozen=True)
class DeviceLine:
    """The last state that a device reported."""

    state: str
    reason: str
    evidence: str
    since: datetime


@dataclass
class View:
    """Everything that the events told, and the script that caused them."""

    script: Script
    progress: Progress = field(default_factory=Progress)
    ledger: Ledger = field(default_factory=Ledger)
    audit: Audit = field(default_factory=Audit)
    sales: Sales = field(default_factory=Sales)
    items: Items = field(default_factory=Items)
    beside: Beside = field(default_factory=Beside)
    scenes: dict[str, Scene] = field(default_factory=dict)
    devices: dict[str, DeviceLine] = field(default_factory=dict)
    masters: set[str] = field(default_factory=set)
    refused_lines: dict[str, int] = field(default_factory=dict)
    alarms: dict[str, str] = field(default_factory=dict)
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=3))
    proof: list[str] = field(default_factory=list)
    started: bool = False
    stopped: bool = False

    def sent(self, scene: Scene) -> None:
        """Note an order that is about to be sent."""
        self.scenes[scene.wave] = scene
        self.progress.sent(scene.wave)

    def feed(self, event: Event) -> None:
        """Take one event; repeats are dropped here, by the ledger."""
        if not self.ledger.feed(event):
            return
        self.progress.feed(event)
        self.audit.feed(event)
        self.sales.feed(event)
        self.items.feed(event)
        data = event.data
        match event.type:
            case "gateway.started":
                self.started = True
            case "gateway.stopped":
                self.stopped = True
            case "device.state":
                self.devices[event.device] = DeviceLine(data["state"], data["reason"], data["evidence"], event.at)
            case "master.applied":
                self.masters.add(data["kind"])
            case "price.line.refused":
                self.refused_lines[data["wave"]] = self.refused_lines.get(data["wave"], 0) + 1
                self.notes.append(f"{data['wave']} line {data['line']} refused: {data['reason']}")
            case "alarm.raised":
                self.alarms[data["alarm"]] = data["text"]
                self.notes.append(f"alarm: {data['text']}")
            case "alarm.cleared":
                self.alarms.pop(data["alarm"], None)

    def see_till(self, terminal: str, truth: Mapping[str, Any], asked_at: datetime) -> None:
        """Take the ground truth of one till, and hold all sales against the shelf as it is known by now."""
        self.sales.see(terminal, truth, asked_at)
        self.beside = beside_shelf(self.sales.lines(), self.audit)

    def unfinished(self) -> list[str]:
        """Return the waves that should converge and have not."""
        return [
            scene.wave
            for scene in self.scenes.values()
            if scene.must_converge and self.progress.waves[scene.wave].stage != "converged"
        ]

    def untold(self) -> list[str]:
        """Return the waves of which not everything was said that should be."""
        return [
            scene.wave
            for scene in self.scenes.values()
            if self.refused_lines.get(scene.wave, 0) < scene.bad_lines
            or (scene.cancels and self.progress.waves[scene.cancels].stage != "cancelled")
        ]

    def wrong_labels(self) -> dict[str, str]:
        """Return labels whose glass does not show the price that head office wants, by the ground truth."""
        wrong = {}
        for binding in self.script.bindings():
            wanted, shown = self.script.prices.get(binding.gtin or ""), self.audit.shown_minor(binding.label)
            if wanted != shown:
                wrong[binding.label] = f"shows {shown}, should show {wanted}"
        return wrong

    def wrong_charges(self) -> dict[str, str]:
        """Return products that the tills do not charge at the price that head office wants."""
        charged = {gtin: self.audit.charged_minor(gtin) for gtin in self.script.prices}
        return {
            gtin: f"charges {charged[gtin]}, should charge {wanted}"
            for gtin, wanted in self.script.prices.items()
            if charged[gtin] != wanted
        }
