"""Parts of waves come in; a wave that is complete is judged, entered and said to be accepted, all in one commit. Pure.

Which parts belong together and what is wrong with a line is `intake.py`'s, which wave is in force `schedule.py`'s.
"""

from gateway import messages as m
from gateway import notes
from gateway.prices import intake
from gateway.prices.shop import Shop
from gateway.prices.turning import Turning
from gateway.prices.work import PAUSE, Steps, Work, pages


class Judging:
    """Handles price waves."""

    def __init__(self, shop: Shop, turning: Turning) -> None:
        self._shop, self._turning = shop, turning

    def part(self, part: m.PricePart) -> Steps:
        """Take a part of a wave."""
        taken = self._shop.schedule.take(part)
        if isinstance(taken, list):
            yield taken
        else:
            yield from self._judge(taken, part)

    def rejected(self, order: m.WaveRejected) -> list[m.Message]:
        """Say that a wave's head could not be used."""
        return [m.WaveRefused(at=order.at, source=order.source, cause=order.wave, wave=order.wave, reason=order.reason)]

    def staged(self, note: notes.FacesStaged) -> list[m.Message]:
        """Note that the faces of a wave are drawn."""
        schedule = self._shop.schedule
        progress = schedule.waves.open(note.wave, note.at)
        if progress.staged or note.wave not in schedule.book.waves:
            return []
        progress.staged = True
        fact = m.WaveStaged(
            at=note.at, source=m.GATEWAY, cause=note.wave, wave=note.wave, faces=note.faces, refused=note.refused
        )
        return [fact, *schedule.states(note.wave, note.at)]

    def _judge(self, taken: intake.Assembly, part: m.PricePart) -> Steps:
        wave, policy, schedule = taken.wave, self._shop.policy, self._shop.schedule
        bench = schedule.bench(self._shop.shelf.product, policy.currency, policy.absurd_change_percent)
        good, bad = yield from intake.judge(taken.in_order(), bench)
        for page in pages(bad):
            yield intake.line_facts(wave, page, part.at, part.source)
        if wave.kind == "change" and not good:
            yield schedule.refuse(wave, "no line could be taken" if bad else "it has no lines", part)
            return
        labels = yield from self._labels(good)
        kept = notes.WaveKept(at=part.at, source=part.source, wave=wave, lines=tuple(good.values()))
        yield [kept, self._accepted(part, len(good), len(bad), labels)]
        yield from schedule.enter(wave, good, part)
        yield from self._turning.work(part.at)

    def _labels(self, good: dict[str, m.PriceLine]) -> Work[int]:
        labels = 0
        for page in pages(good):
            labels += sum(len(self._shop.shelf.labels_of(gtin)) for gtin in page)
            yield PAUSE
        return labels

    def _accepted(self, part: m.PricePart, lines: int, refused: int, labels: int) -> m.WaveAccepted:
        wave = part.wave
        return m.WaveAccepted(
            at=part.at,
            source=part.source,
            cause=wave.id,
            wave=wave.id,
            kind=wave.kind,
            sequence=wave.sequence,
            issuer=wave.issuer,
            effective_at=wave.effective_at,
            effective_local=self._shop.schedule.local(wave.effective_at, self._shop.policy.timezone),
            lines=lines,
            refused=refused,
            labels=labels,
            supersedes=wave.supersedes,
        )
