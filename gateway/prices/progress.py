"""How far a wave is on the glass: which labels it concerns, which are still to be proven. Pure bookkeeping.

Told by `pricing.py`; says nothing to anybody itself.
"""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Progress:
    """One wave that has become effective. `labels`: all it concerns; `pending`: those not proven yet."""

    wave: str
    since: datetime
    labels: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    announced: bool = False
    converged: bool = False
    excepted: bool = False
    staged: bool = False


class Waves:
    """Progress of all effective waves. A label counts for the one wave whose price it should show."""

    def __init__(self) -> None:
        self.by_wave: dict[str, Progress] = {}
        self._of_label: dict[str, str] = {}

    def open(self, wave: str, since: datetime) -> Progress:
        """Return the progress of a wave, begun now if it is new."""
        return self.by_wave.setdefault(wave, Progress(wave, since))

    def assign(self, label: str, wave: str | None, *, proven: bool) -> None:
        """Let a label count for this wave (None: for none)."""
        before = self._of_label.get(label)
        if before is not None and before != wave:
            self._leave(label, before)
        if wave is None:
            self._of_label.pop(label, None)
            return
        self._of_label[label] = wave
        progress = self.by_wave.get(wave)
        if progress is None or progress.converged:
            return
        progress.labels.add(label)
        if proven:
            progress.pending.discard(label)
        else:
            progress.pending.add(label)

    def of(self, label: str) -> Progress | None:
        """Return the wave that a label counts for."""
        return self.by_wave.get(self._of_label.get(label, ""))

    def proven(self, label: str) -> Progress | None:
        """Take a label off the pending ones; return the progress that it moved."""
        progress = self.of(label)
        if progress is None or label not in progress.pending:
            return None
        progress.pending.discard(label)
        return progress

    def _leave(self, label: str, wave: str) -> None:
        progress = self.by_wave.get(wave)
        if progress is not None and not progress.converged:
            progress.labels.discard(label)
            progress.pending.discard(label)

    def open_ones(self) -> list[Progress]:
        """Return the waves that have not converged, oldest first."""
        return [p for p in self.by_wave.values() if not p.converged]

    def forget(self, wave: str) -> None:
        """Drop a wave that is history."""
        self.by_wave.pop(wave, None)
