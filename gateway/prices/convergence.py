"""What is said of a wave on its way: staged, effective, converged, or by name which labels are late. Pure.

The bookkeeping is `progress.py`; when to look is Pricing's affair.
"""

from datetime import datetime

from gateway import messages as m
from gateway.prices.progress import Progress
from gateway.prices.schedule import Schedule, Turn
from gateway.prices.shelf import Shelf
from gateway.prices.work import PAUSE, Steps, pages

NAMED_EXCEPTIONS = 200


def announce(turn: Turn, progress: Progress, schedule: Schedule, at: datetime) -> list[m.Message]:
    """Say that the instant of a wave has come and its products were turned."""
    progress.announced = True
    fact = m.WaveEffective(
        at=at,
        source=m.GATEWAY,
        cause=progress.wave,
        wave=progress.wave,
        products=turn.products,
        labels=len(progress.labels),
        overtaken=turn.overtaken,
    )
    return [fact, *schedule.states(progress.wave, at), *converged(progress, schedule, at)]


def converged(progress: Progress | None, schedule: Schedule, at: datetime) -> list[m.Message]:
    """Say that all labels of a wave are proven, if that is so and was not said."""
    if progress is None or progress.pending or not progress.announced or progress.converged or not schedule.loaded:
        return []
    progress.converged = True
    out: list[m.Message] = [
        m.WaveConverged(
            at=at,
            source=m.GATEWAY,
            cause=progress.wave,
            wave=progress.wave,
            labels=len(progress.labels),
            duration_s=round(max(0.0, (at - progress.since).total_seconds()), 3),
        )
    ]
    if progress.excepted:
        out.append(m.AlarmCleared(at=at, source=m.GATEWAY, cause=progress.wave, alarm=_alarm(progress)))
    schedule.sweep(progress.wave)
    return [*out, *schedule.states(progress.wave, at)]


def late(schedule: Schedule, shelf: Shelf, alarm_s: float, at: datetime) -> Steps:
    """Name the labels of every wave whose time is over, once a wave.

    `at` may be past the instant where a doubtful clock stopped the schedule: labels are late all the same. A label with
    nothing to show and nothing on its glass (its product was removed) is waited for no longer.
    """
    for progress in schedule.waves.open_ones():
        over = (max(schedule.now, at) - progress.since).total_seconds() >= alarm_s
        if not (progress.announced and progress.pending and over):
            continue
        for page in pages(list(progress.pending)):
            progress.pending.difference_update(label for label in page if shelf.target(shelf.glass(label)) is None)
            yield PAUSE
        if progress.pending and not progress.excepted:
            progress.excepted = True
            yield [*_exceptions(progress, shelf, at), *schedule.states(progress.wave, at)]
        yield converged(progress, schedule, at)


def _exceptions(progress: Progress, shelf: Shelf, at: datetime) -> list[m.Message]:
    named = tuple(_exception(label, shelf) for label in sorted(progress.pending)[:NAMED_EXCEPTIONS])
    text = f"{len(progress.pending)} of {len(progress.labels)} labels do not show wave {progress.wave} yet"
    exceptions = m.WaveExceptions(
        at=at,
        source=m.GATEWAY,
        cause=progress.wave,
        wave=progress.wave,
        shown=len(progress.labels) - len(progress.pending),
        labels=len(progress.labels),
        exceptions=named,
    )
    alarm = m.AlarmRaised(
        at=at,
        source=m.GATEWAY,
        cause=progress.wave,
        alarm=_alarm(progress),
        text=text,
        next_step="look at the labels named; for one that is lost or dead, sign it off",
        subjects=tuple(e.label for e in named),
    )
    return [exceptions, alarm]


def _exception(label: str, shelf: Shelf) -> m.LabelException:
    glass = shelf.glass(label)
    reason = glass.trouble or "waits for the label's next check-in"
    if label not in shelf.seen:
        reason = "no access point has heard this label since the gateway started"
    return m.LabelException(label=label, gtin=glass.gtin or "", facing=glass.facing, reason=reason)


def _alarm(progress: Progress) -> str:
    return f"wave-{progress.wave}"
