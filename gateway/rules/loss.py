"""What does not fit at a basket. Here the watch collects it."""

from typing import NamedTuple

from gateway.messages import BagWeight, TillEvent, Wire


class BagDelta(NamedTuple):
    """The bagging area became heavier or lighter."""

    seq: int
    mg: int


class Watch:
    """What one basket's bagging area saw."""

    def __init__(self, bag_mg: int) -> None:
        self._level_mg = bag_mg
        self.deltas: list[BagDelta] = []

    def hear(self, event: TillEvent, body: Wire | None) -> None:
        """Take an event in."""
        if isinstance(body, BagWeight) and body.stable and body.weight_mg != self._level_mg:
            self.deltas.append(BagDelta(event.seq, body.weight_mg - self._level_mg))
            self._level_mg = body.weight_mg
