"""Tables of sales: till events, living baskets, terminals, imports, stock, learnt weights; read whole at start.

Events are kept for fourteen days after their basket is over, for what a technician asks and for the replay at start.
Nothing here scans a table while the gateway works: events are appended, and pruned from their oldest end in steps.
The logic is in `rules/`, not here; each row is the state that one note of `sale_notes.py` carries.
"""

import json
import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby, starmap
from operator import attrgetter, itemgetter
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_core import to_json
from sqlite_utils import Database, Migrations

from gateway import messages as m
from gateway import sale_notes as notes
from gateway.sale_notes import KeptLog, KeptSales, Replayed, SeenDay, SeenEvent, number_of

REPEATS = 10_000  # events of a terminal that repeats are compared with
BODIES = 2_000  # imported transactions that can still be voided
PRUNED = 5_000  # events of one terminal that go in one step

migrations = Migrations("sales")


@migrations()
def tables(db: Database) -> None:
    """Create the tables. `turn` is the order in which a terminal's events were applied; null = the event waits."""
    db.execute(
        "CREATE TABLE till_event (terminal TEXT, seq INTEGER, event_id TEXT, digest TEXT, at TEXT, received_at TEXT, "
        "kind TEXT, basket TEXT, turn INTEGER, late INTEGER, body TEXT, PRIMARY KEY (terminal, seq)) "
        "STRICT, WITHOUT ROWID"
    )
    db.execute(
        "CREATE TABLE till_terminal (terminal TEXT PRIMARY KEY, ack INTEGER DEFAULT 0, turn INTEGER DEFAULT 0, "
        "gaps TEXT DEFAULT '[]', state TEXT) STRICT, WITHOUT ROWID"
    )
    for statement in (
        "CREATE UNIQUE INDEX till_event_id ON till_event (terminal, event_id)",
        "CREATE INDEX till_event_turn ON till_event (terminal, turn)",
        "CREATE TABLE till_basket (terminal TEXT, basket TEXT, body TEXT, PRIMARY KEY (terminal, basket)) STRICT",
        "CREATE TABLE pos_transaction (day TEXT, key TEXT, digest TEXT, PRIMARY KEY (day, key)) STRICT, WITHOUT ROWID",
        "CREATE TABLE pos_body (number INTEGER PRIMARY KEY, body TEXT) STRICT",
        "CREATE TABLE stock (gtin TEXT, unit TEXT, on_hand INTEGER, PRIMARY KEY (gtin, unit)) STRICT, WITHOUT ROWID",
        "CREATE TABLE learnt_weight (gtin TEXT PRIMARY KEY, samples_mg TEXT) STRICT, WITHOUT ROWID",
    ):
        db.execute(statement)


@migrations()
def turns_of_a_basket(db: Database) -> None:
    """Find a basket's events: one that was left lives for a week among those of all others."""
    db.execute("CREATE INDEX till_event_basket ON till_event (terminal, basket, turn)")


@migrations()
def events_as_they_come(db: Database) -> None:
    """Lay events down one after the other: a row for each till in a tree of its own made each small commit dear.

    `body` is what the other columns do not say; older rows say more. Nothing looks for an event by its id.
    """
    db.execute("ALTER TABLE till_event RENAME TO till_event_before")
    db.execute(
        "CREATE TABLE till_event (terminal TEXT, seq INTEGER, event_id TEXT, digest TEXT, at TEXT, received_at TEXT, "
        "kind TEXT, basket TEXT, turn INTEGER, late INTEGER, body TEXT) STRICT"
    )
    db.execute("INSERT INTO till_event SELECT * FROM till_event_before")
    db.execute("DROP TABLE till_event_before")  # with its indexes
    db.execute("CREATE UNIQUE INDEX till_event_seq ON till_event (terminal, seq)")
    db.execute("CREATE INDEX till_event_turn ON till_event (terminal, turn, basket)")


class SaleTables:
    """The projection."""

    migrations = migrations

    def apply(self, connection: sqlite3.Connection, messages: Sequence[m.Message]) -> None:
        """Change the tables by one batch, inside the caller's transaction."""
        by_keeper: dict[_Keeper, list[Any]] = defaultdict(list)
        for message in messages:
            keeper = _KEEPERS.get(type(message))
            if keeper is not None:
                by_keeper[keeper].append(message)
        for keeper in _ORDER:
            if keeper in by_keeper:
                keeper(connection, by_keeper[keeper])


def _keep_logs(db: sqlite3.Connection, logs: list[notes.TillLogKept]) -> None:
    # REPLACE: a number that comes again is compared by the rule; one older than its memory must not stop the shop.
    db.executemany(
        "INSERT OR REPLACE INTO till_event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [_event_row(*kept) for note in logs for kept in note.kept],
    )
    db.executemany(
        "UPDATE till_event SET turn = ?, basket = ? WHERE terminal = ? AND seq = ?",
        [(turn, basket, note.terminal, seq) for note in logs for seq, turn, basket in note.applied],
    )
    db.executemany(
        "INSERT INTO till_terminal (terminal, ack, turn) VALUES (?, ?, ?) ON CONFLICT (terminal) DO UPDATE SET "
        "ack = max(ack, excluded.ack), turn = max(turn, excluded.turn)",
        [(note.terminal, note.ack, note.turn) for note in logs],
    )


def _event_row(event: m.TillEvent, turn: int | None, basket: str | None, late: bool) -> tuple[object, ...]:  # noqa: FBT001 (as in the note)
    at, source, terminal, seq, event_id, kind, named, data, digest, received_at, shelf = event
    body = to_json({"source": source, "basket": named, "data": data, "shelf": shelf}).decode()
    times = at.isoformat(), received_at.isoformat()
    return terminal, seq, event_id, digest, *times, kind, basket, turn, late, body


def _keep_gaps(db: sqlite3.Connection, gaps: list[notes.TillGapsKept]) -> None:
    db.executemany(
        "INSERT INTO till_terminal (terminal, gaps) VALUES (?, ?) ON CONFLICT (terminal) DO UPDATE SET "
        "gaps = excluded.gaps",
        [(note.terminal, json.dumps(note.gaps)) for note in gaps],
    )


def _keep_terminals(db: sqlite3.Connection, states: list[notes.TerminalKept]) -> None:
    db.executemany(
        "INSERT INTO till_terminal (terminal, state) VALUES (?, ?) ON CONFLICT (terminal) DO UPDATE SET "
        "state = excluded.state",
        [(note.terminal, note.model_dump_json()) for note in states],
    )


def _keep_baskets(db: sqlite3.Connection, baskets: list[notes.BasketBegun | notes.BasketOver]) -> None:
    """Note which baskets live, in order: one name may be over and begin again in a batch."""
    for note in baskets:
        if isinstance(note, notes.BasketBegun):
            row = (note.terminal, note.basket, note.model_dump_json())
            db.execute("INSERT OR REPLACE INTO till_basket VALUES (?, ?, ?)", row)
        else:
            db.execute("DELETE FROM till_basket WHERE terminal = ? AND basket = ?", (note.terminal, note.basket))


def _keep_imports(db: sqlite3.Connection, kept: list[notes.PosKept]) -> None:
    keys = [(note.transaction.business_day.isoformat(), note.key, note.digest) for note in kept]
    db.executemany("INSERT OR IGNORE INTO pos_transaction VALUES (?, ?, ?)", keys)
    db.executemany("INSERT INTO pos_body (body) VALUES (?)", [(note.transaction.model_dump_json(),) for note in kept])
    db.execute("DELETE FROM pos_body WHERE number <= (SELECT max(number) FROM pos_body) - ?", (BODIES,))


def _keep_stock(db: sqlite3.Connection, changes: list[m.StockChanged]) -> None:
    rows = [(one.gtin, one.unit, one.on_hand) for one in changes if one.on_hand is not None]
    db.executemany("INSERT OR REPLACE INTO stock VALUES (?, ?, ?)", rows)


def _keep_weights(db: sqlite3.Connection, weights: list[notes.WeightKept]) -> None:
    rows = [(note.gtin, json.dumps(note.samples_mg)) for note in weights]
    db.executemany("INSERT OR REPLACE INTO learnt_weight VALUES (?, ?)", rows)


def _prune(db: sqlite3.Connection, pruned: list[notes.SalesPruned]) -> None:
    note = pruned[-1]
    db.execute("DELETE FROM pos_transaction WHERE day < ?", (note.days_before.isoformat(),))
    needed = _needed_turns(db)
    for (terminal,) in db.execute("SELECT terminal FROM till_terminal").fetchall():
        oldest = db.execute(
            "SELECT seq, received_at FROM till_event WHERE terminal = ? AND turn < ? ORDER BY turn LIMIT ?",
            (terminal, needed[terminal], PRUNED),
        ).fetchall()
        gone = [(terminal, seq) for seq, received_at in oldest if received_at < note.events_before.isoformat()]
        db.executemany("DELETE FROM till_event WHERE terminal = ? AND seq = ?", gone)


_Keeper = Callable[[sqlite3.Connection, list[Any]], None]
_KEEPERS: dict[type, _Keeper] = {
    notes.TillLogKept: _keep_logs,
    notes.TillGapsKept: _keep_gaps,
    notes.TerminalKept: _keep_terminals,
    notes.BasketBegun: _keep_baskets,
    notes.BasketOver: _keep_baskets,
    notes.PosKept: _keep_imports,
    m.StockChanged: _keep_stock,
    notes.WeightKept: _keep_weights,
    notes.SalesPruned: _prune,
}
_ORDER = tuple(dict.fromkeys(_KEEPERS.values()))


def load(db: sqlite3.Connection) -> KeptSales:
    """Read everything that the rules of sales need at start."""
    rows = db.execute("SELECT terminal, ack, turn, gaps, state FROM till_terminal").fetchall()
    baskets = [notes.BasketBegun.model_validate_json(body) for (body,) in db.execute("SELECT body FROM till_basket")]
    return KeptSales(
        logs={terminal: _load_log(db, terminal, ack, turn, gaps) for terminal, ack, turn, gaps, _ in rows},
        baskets=baskets,
        terminals=[notes.TerminalKept.model_validate_json(row[4]) for row in rows if row[4] is not None],
        replay={
            terminal: _load_replay(
                db, terminal, min(_after(state), turn), [b for b in baskets if b.terminal == terminal]
            )
            for terminal, _, turn, _, state in rows
        },
        stock={(gtin, unit): on_hand for gtin, unit, on_hand in db.execute("SELECT gtin, unit, on_hand FROM stock")},
        weights={g: tuple(json.loads(mg)) for g, mg in db.execute("SELECT gtin, samples_mg FROM learnt_weight")},
        catalogue=_load_catalogue(db),
        transactions=dict(_load_transactions(db)),
        bodies=[
            m.PosTransaction.model_validate_json(body)
            for (body,) in db.execute("SELECT body FROM pos_body ORDER BY number")
        ],
    )


def _needed_turns(db: sqlite3.Connection) -> dict[str, int]:
    """Return by terminal the first turn that a living basket or an untold minute needs."""
    needed = {terminal: _after(state) for terminal, state in db.execute("SELECT terminal, state FROM till_terminal")}
    for terminal, body in db.execute("SELECT terminal, body FROM till_basket"):
        needed[terminal] = min(needed.get(terminal, 1), json.loads(body)["turn"])
    return needed


def _after(state: str | None) -> int:
    """Return the first turn that is not in the state of a terminal."""
    return 1 if state is None else int(json.loads(state)["turn"]) + 1


def _load_log(db: sqlite3.Connection, terminal: str, ack: int, turn: int, gaps: str) -> KeptLog:
    seen = db.execute(
        "SELECT seq, event_id, digest FROM till_event WHERE terminal = ? ORDER BY seq DESC LIMIT ?", (terminal, REPEATS)
    ).fetchall()
    waiting = db.execute(_EVENTS + "turn IS NULL", (terminal,))
    return KeptLog(
        ack=ack,
        turn=turn,
        gaps=[(first, last) for first, last in json.loads(gaps)],
        seen=[SeenEvent(*row) for row in reversed(seen)],
        waiting=[_replayed(*row).event for row in waiting],
    )


def _load_replay(
    db: sqlite3.Connection, terminal: str, first: int, baskets: Sequence[notes.BasketBegun]
) -> list[Replayed]:
    """Return all turns from the first one on, and what living baskets heard before, in order."""
    begun = {one.basket: one.turn for one in baskets}
    oldest, names = min(begun.values(), default=first), json.dumps([*begun])
    of_baskets = "turn >= ? AND turn < ? AND basket IN (SELECT value FROM json_each(?))"
    rows = db.execute(_EVENTS + of_baskets, (terminal, oldest, first, names)).fetchall()
    heard = [one for one in starmap(_replayed, rows) if one.turn >= begun[one.basket or ""]]
    rows = db.execute(_EVENTS + "turn >= ?", (terminal, first)).fetchall()
    return sorted([*heard, *starmap(_replayed, rows)], key=attrgetter("turn"))


class _Body(BaseModel):
    """What the columns of an event do not say. Older rows say all, and the columns are right."""

    model_config = ConfigDict(strict=True)
    source: str
    basket: str | None
    data: dict[str, Any]
    shelf: m.ShelfThen | None


_EVENTS = (
    "SELECT terminal, seq, event_id, digest, at, received_at, kind, basket, turn, late, body FROM till_event "
    "WHERE terminal = ? AND "
)
_INSTANT = TypeAdapter(datetime).validator


def _replayed(*row: Any) -> Replayed:  # noqa: ANN401 - as the columns are
    terminal, seq, event_id, digest, *times, kind, basket, turn, late, body = row
    said, (at, received_at) = _Body.model_validate_json(body), map(_INSTANT.validate_python, times)
    names = said.source, terminal, seq, event_id, kind, said.basket
    return Replayed(turn, basket, m.TillEvent(at, *names, said.data, digest, received_at, said.shelf), bool(late))


def _load_transactions(db: sqlite3.Connection) -> Iterator[tuple[date, SeenDay]]:
    """Yield the keys of each business day, one day after the other: as text, those of 400 days need much memory."""
    rows = db.execute("SELECT day, key, digest FROM pos_transaction ORDER BY day")
    for day, of_day in groupby(rows, itemgetter(0)):
        numbers = sorted((number_of(key), number_of(digest)) for _, key, digest in of_day)
        keys, digests = (array("Q", column) for column in zip(*numbers, strict=True))
        yield date.fromisoformat(day), SeenDay(keys, digests)


def _load_catalogue(db: sqlite3.Connection) -> dict[str, int]:
    """Return the weights that head office's master data tells; the table is that of `apply_prices.py`."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'product'").fetchone() is None:
        return {}
    rows = db.execute("SELECT gtin, json_extract(body, '$.weight_mg') FROM product")
    return {gtin: weight_mg for gtin, weight_mg in rows if weight_mg}
