"""How a price wave goes, told from its events: received -> staged -> effective -> shown k of n -> converged.

Pure: `feed` events, look at `waves`. `watch.py` and the demo's screen draw it. Several gateways of one shop report the
same wave, each for its own labels; a wave has converged when each that took it has.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.hq.wire import Event

MAX_WAVES = 500  # the oldest is forgotten: a screen shows ten

Stage = Literal["sent", "accepted", "staged", "effective", "converged", "exceptions", "refused", "cancelled"]
ORDER: tuple[Stage, ...] = ("sent", "accepted", "staged", "effective", "exceptions", "converged")
ENDS: frozenset[Stage] = frozenset({"converged", "exceptions", "refused", "cancelled"})


@dataclass
class GatewayWave:
    """One wave at one gateway."""

    stage: Stage = "sent"
    labels: int = 0
    lines: int = 0
    refused: int = 0
    sent: set[str] = field(default_factory=set)
    shown: dict[str, int] = field(default_factory=dict)  # label -> revision that is proven
    exceptions: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    effective_local: str = ""
    effective_at: datetime | None = None
    started: datetime | None = None
    duration_s: float | None = None

    def stragglers(self) -> dict[str, str]:
        """Return labels that were sent a face and are not proven, or were named by the gateway, with why."""
        waiting = dict.fromkeys(sorted(self.sent - self.shown.keys()), "sent, not proven")
        named = {label: why for label, why in self.exceptions.items() if label not in self.shown}
        return waiting | named


@dataclass
class Wave:
    """One wave, over all gateways of the shop."""

    id: str
    expected: set[str] = field(default_factory=set)
    gateways: dict[str, GatewayWave] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """The stage of the gateway that is furthest behind."""
        stages = [one.stage for one in self.gateways.values()]
        for end in ("refused", "cancelled"):
            if stages and all(stage == end for stage in stages):
                return end
        known = [stage for stage in stages if stage in ORDER]
        return min(known, key=ORDER.index, default="sent")

    @property
    def shown(self) -> int:
        """Labels proven to show the wave."""
        return sum(len(one.shown) for one in self.gateways.values())

    @property
    def labels(self) -> int:
        """Labels that should show it. Never below `shown`: a label may be bound after the gateway counted."""
        return max(self.shown, sum(one.labels for one in self.gateways.values()))

    @property
    def over(self) -> bool:
        """Whether nothing more is expected to happen."""
        return (
            bool(self.gateways)
            and self.expected <= self.gateways.keys()
            and all(one.stage in ENDS for one in self.gateways.values())
        )

    def stragglers(self) -> dict[str, str]:
        """Return labels (and silent gateways) that hold the wave back, with why."""
        silent = dict.fromkeys(sorted(self.expected - self.gateways.keys()), "this gateway has not answered")
        return silent | {label: why for one in self.gateways.values() for label, why in one.stragglers().items()}


class Progress:
    """All waves that the events told of, newest last."""

    def __init__(self) -> None:
        self.waves: OrderedDict[str, Wave] = OrderedDict()

    def sent(self, wave_id: str) -> Wave:
        """Note that head office sent a wave; nobody has answered yet."""
        wave = self.waves.setdefault(wave_id, Wave(wave_id))
        while len(self.waves) > MAX_WAVES:
            self.waves.popitem(last=False)
        return wave

    def feed(self, event: Event) -> None:
        """Take one event in; those that concern no wave are passed over. Repeats do no harm."""
        wave_id = event.data.get("wave")
        if not isinstance(wave_id, str) or not (event.type.startswith("price.") or event.type.startswith("label.")):
            return
        part = self.sent(wave_id).gateways.setdefault(event.gateway, GatewayWave())
        part.started = part.started or event.at
        if event.type.startswith("label."):
            _apply_label(part, event.type, event.data)
        else:
            _apply(part, event.type, event.data)
        if event.type == "price.wave.accepted" and event.data["kind"] == "cancel":
            self._cancelled(event.gateway, event.data["supersedes"], part)

    def _cancelled(self, gateway: str, target_id: str, part: GatewayWave) -> None:
        """End both: a cancel that was accepted is done, what it takes back is over, whatever its labels show by now."""
        part.stage = "converged"
        if target := self.waves.get(target_id):
            target.gateways.setdefault(gateway, GatewayWave()).stage = "cancelled"


def _apply(part: GatewayWave, kind: str, data: dict[str, Any]) -> None:
    match kind:
        case "price.wave.accepted":
            _advance(part, "accepted")
            part.labels, part.lines, part.refused = data["labels"], data["lines"], data["refused"]
            part.effective_local = data["effective_local"]
            part.effective_at = datetime.fromisoformat(data["effective_at"])
        case "price.wave.refused":
            part.stage, part.reason = "refused", data["reason"]
        case "price.wave.staged":
            _advance(part, "staged")
        case "price.wave.effective":
            _advance(part, "effective")
            part.labels = data["labels"]
        case "price.wave.converged":
            part.stage, part.duration_s = "converged", data["duration_s"]
            part.labels = data["labels"]
        case "price.wave.exceptions":
            _advance(part, "exceptions")
            part.exceptions = {one["label"]: one["reason"] for one in data["exceptions"]}


def _apply_label(part: GatewayWave, kind: str, data: dict[str, Any]) -> None:
    match kind:
        case "label.sent":
            part.sent.add(data["label"])
        case "label.shown":
            part.shown[data["label"]] = data["revision"]
            part.exceptions.pop(data["label"], None)
        case "label.failed":
            part.exceptions[data["label"]] = data["reason"]
            if part.shown.get(data["label"]) == data["revision"]:  # a proof that no longer holds: the tag rebooted
                del part.shown[data["label"]]


def _advance(part: GatewayWave, stage: Stage) -> None:
    """Go forward only: batches may be told twice, and a converged wave stays converged."""
    if part.stage in ORDER and ORDER.index(stage) > ORDER.index(part.stage):
        part.stage = stage
