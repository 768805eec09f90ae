"""Opening the store: a fit place, nobody else there, a sound file, migrations. Closing: the clean mark.

Whatever is lost is said: a jump of the sequences with a declared hole (durable before `open` returns), and an alarm.
Not here: how a damaged file is read (`salvage.py`, `carve.py`), what makes a directory unfit (`place.py`).
"""

import contextlib
import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlite_utils import Migrations

from gateway.messages import GATEWAY, AlarmRaised, Fact
from gateway.store import tail
from gateway.store.ceilings import Ceilings, Known
from gateway.store.events import EventEncoder
from gateway.store.losses import go_above
from gateway.store.outbox import Outbox, StoreClock
from gateway.store.place import Lock, check_place
from gateway.store.rebuild import finish_swap, rebuild
from gateway.store.salvage import UNREADABLE, judge
from gateway.store.schema import MEMORY, STREAMS, check_schema, connect_reader, connect_writer, migrate, transaction
from gateway.store.trouble import is_damage, passes

RESTORE_GAP = 1_000_000  # numbers that may have been used after the backup, when no ceilings file says so

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenReport:
    """How the start went. `salvaged`: unsent rows saved from a damaged file, None when it was sound.

    `doubt`: rows may be lost or old, for this reason; told at every start until `Store.settle_doubt`. `facts` are for
    the caller to emit; what head office must know of lost sequences is in the outbox already.
    """

    clean: bool
    salvaged: int | None = None
    doubt: str | None = None
    facts: list[Fact] = field(default_factory=list)


@dataclass
class _Findings:
    """What the checks saw. `mark`: the file's own clean mark, None when it is new, salvaged or restored."""

    mark: str | None = None
    frames: int | None = None
    logged: bool = True
    salvaged: int | None = None
    losses: list[str] = field(default_factory=list)


class Opening:
    """Opens one file, and marks it clean at the end."""

    def __init__(self, path: Path, encoder: EventEncoder, clock: StoreClock, sets: Sequence[Migrations]) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._encoder = encoder
        self._clock = clock
        self._sets = sets
        self._lock = Lock(path.with_name(path.name + ".lock"))
        self.ceilings = Ceilings(None if path == MEMORY else path.with_name(path.name + ".sequences"))

    def open(self) -> tuple[Outbox, OpenReport]:
        """Return the outbox on a sound, migrated file, and the report. ConfigError: a person must act."""
        if self._path == MEMORY:
            return self._connect(_Findings(), None)
        check_place(self._path.parent)
        self._lock.take()
        try:
            return self._open_locked(self.ceilings.load())
        except BaseException:
            self._lock.release()
            raise

    def _open_locked(self, known: Known | None) -> tuple[Outbox, OpenReport]:
        finish_swap(self._path, self._clock.now())
        frames, logged = tail.frames_before(self._path), self._wal.exists()
        findings = _Findings(frames=frames, logged=logged)
        damage = self._examine(findings, known)
        if damage is None:
            try:
                return self._connect(findings, known)
            except UNREADABLE as error:
                if passes(error) and not is_damage(error, self._path):
                    raise
                damage = str(error)
        log.error("the database is damaged; salvaging", extra={"why": damage})
        rebuild(self._path, self._sets, known, damage)
        finish_swap(self._path, self._clock.now())
        return self._connect(_Findings(), known)

    def _examine(self, findings: _Findings, known: Known | None) -> str | None:
        """Return what is damaged, None when nothing is."""
        if not self._path.exists() or not self._path.stat().st_size:
            lost = known is not None and any(known.streams[stream].last for stream in STREAMS)
            if lost and not findings.logged:
                findings.losses.append("the database was missing")
            return "the database was missing, its log is there" if findings.logged else None
        try:
            with contextlib.closing(connect_reader(self._path)) as connection:
                findings.mark = _mark(connection)
                return judge(connection, full=findings.mark != "1")
        except UNREADABLE as error:
            if passes(error):
                raise
            return str(error)

    def _connect(self, findings: _Findings, known: Known | None) -> tuple[Outbox, OpenReport]:
        connection = connect_writer(self._path)
        try:
            if findings.mark == "0" and not findings.logged:
                findings.losses.append("the write-ahead log was missing")
            elif (findings.frames or 0) > tail.frames_now(connection):
                findings.losses.append("the write-ahead log lost its end")
            fresh = migrate(connection, self._sets) and findings.mark is None
            if self._path != MEMORY:
                check_schema(connection, self._sets)
            outbox = Outbox(connection, self._encoder, self._clock)
            outbox.load()
            self._make_good(outbox, findings, known)
            self.ceilings.begin(outbox.counters)
        except BaseException:
            connection.close()
            raise
        clean = not findings.losses and (fresh or findings.mark == "1")
        doubt = connection.execute("SELECT value FROM store_state WHERE key = 'doubt'").fetchone()
        return outbox, OpenReport(clean, findings.salvaged, doubt and str(doubt[0]), self._alarms(findings))

    def _make_good(self, outbox: Outbox, findings: _Findings, known: Known | None) -> None:
        """In one transaction: mark the file as in use, and if numbers may be missing, go on above all of them."""
        with transaction(outbox.connection):
            outbox.mark()
            self._judge_history(outbox, findings, known)
            if findings.losses:
                floors = {s: known.streams[s].last if known else 0 for s in STREAMS}
                if known is None or "restored" in "".join(findings.losses):
                    floors = {s: max(floors[s], outbox.counters[s].last + RESTORE_GAP) for s in STREAMS}
                reason = "; ".join(findings.losses)
                go_above(outbox, floors, reason, self._clock.now(), look_back=findings.salvaged is not None)
            outbox.save()
            outbox.connection.execute("DELETE FROM store_state WHERE key IN ('restored', 'salvaged')")
            if findings.losses:
                doubt = ["; ".join(findings.losses)]
                outbox.connection.execute("INSERT OR REPLACE INTO store_state VALUES ('doubt', ?)", doubt)
            outbox.connection.execute("INSERT OR REPLACE INTO store_state VALUES ('clean', '0')")

    def _judge_history(self, outbox: Outbox, findings: _Findings, known: Known | None) -> None:
        state = dict(outbox.connection.execute("SELECT key, value FROM store_state").fetchall())
        if "restored" in state:
            findings.losses.append(f"restored from the backup of {state['restored']}")
        if "salvaged" in state:
            findings.salvaged = sum(counters.rows for counters in outbox.counters.values())
            aside = f"{self._path.name}.damaged-*"
            findings.losses.append(f"the database was damaged ({state['salvaged']}) and is set aside as {aside}")
        if findings.losses or known is None:
            return
        if findings.mark is None and any(known.streams[s].last for s in STREAMS):
            findings.losses.append("the database was empty")
        elif known.exact and any(outbox.counters[s].last < known.streams[s].last for s in STREAMS):
            findings.losses.append("the database is older than its last clean stop")

    def _alarms(self, findings: _Findings) -> list[Fact]:
        if not findings.losses:
            return []
        saved = "" if findings.salvaged is None else f"; {findings.salvaged} unsent rows were saved"
        alarm = AlarmRaised(
            at=self._clock.now(),
            source=GATEWAY,
            alarm="store_gap" if findings.salvaged is None else "store_damaged",
            text="; ".join(findings.losses) + saved,
            next_step="check the disk (smartctl, dmesg); keep the file that was set aside until head office agrees",
        )
        return [alarm]

    def mark_clean(self, outbox: Outbox) -> None:
        """Say that nothing was in flight, and which numbers were used."""
        with transaction(outbox.connection):
            outbox.connection.execute("INSERT OR REPLACE INTO store_state VALUES ('clean', '1')")
        self.ceilings.seal(outbox.counters)

    def release(self) -> None:
        """Let another process open the file."""
        self._lock.release()


def _mark(connection: sqlite3.Connection) -> str | None:
    try:
        row = connection.execute("SELECT value FROM store_state WHERE key = 'clean'").fetchone()
    except sqlite3.OperationalError:  # no such table: killed before its first migration
        return None
    return None if row is None else str(row[0])
