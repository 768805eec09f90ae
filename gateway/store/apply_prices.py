"""Tables of prices, products, bindings and glass: changed by messages in the core's commit, read whole at start.

Each table row is the whole new state that one note or order carries; the logic is in `prices/pricing.py`, not here.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlite_utils import Database, Migrations

from gateway import messages as m
from gateway import notes
from gateway.notes import Kept, KeptCharge, KeptWave, Superseded
from gateway.prices.leases import REMEMBERED

HEADS_REMEMBERED = 20_000  # ids of waves that a replay is recognised by
REQUESTS_REMEMBERED = 10_000

migrations = Migrations("prices")


@migrations()
def tables(db: Database) -> None:
    """Create the tables."""
    for statement in (
        "CREATE TABLE price_head (key TEXT PRIMARY KEY, at TEXT, refused INTEGER, body TEXT) STRICT",
        "CREATE TABLE price_wave (id TEXT PRIMARY KEY, body TEXT, state TEXT) STRICT",
        "CREATE TABLE price_line (wave TEXT, gtin TEXT, body TEXT, PRIMARY KEY (wave, gtin)) STRICT, WITHOUT ROWID",
        "CREATE TABLE price_part (key TEXT, part INTEGER, body TEXT, PRIMARY KEY (key, part)) STRICT",
        "CREATE TABLE product (gtin TEXT PRIMARY KEY, sequence INTEGER, body TEXT) STRICT, WITHOUT ROWID",
        "CREATE TABLE binding (label TEXT PRIMARY KEY, sequence INTEGER, gtin TEXT, facing TEXT) STRICT, WITHOUT ROWID",
        "CREATE TABLE facing (facing TEXT PRIMARY KEY, sequence INTEGER, body TEXT) STRICT, WITHOUT ROWID",
        "CREATE TABLE master (kind TEXT PRIMARY KEY, full_sequence INTEGER) STRICT",
        "CREATE TABLE glass (label TEXT PRIMARY KEY, revision INTEGER, doubted INTEGER, entries TEXT) STRICT",
        "CREATE TABLE charge (gtin TEXT PRIMARY KEY, price_minor INTEGER, wave TEXT, forced INTEGER) STRICT",
        "CREATE TABLE wanted (gtin TEXT PRIMARY KEY, price_minor INTEGER, wave TEXT) STRICT, WITHOUT ROWID",
        "CREATE TABLE request_seen (id TEXT PRIMARY KEY) STRICT",
    ):
        db.execute(statement)


@migrations()
def leases(db: Database) -> None:
    """Give prices a version, and keep what tills with a cache may still charge."""
    db.execute("ALTER TABLE charge ADD COLUMN version INTEGER NOT NULL DEFAULT 0")
    db.execute("CREATE TABLE charge_superseded (version INTEGER PRIMARY KEY, gtin TEXT, price_minor INTEGER) STRICT")
    db.execute("CREATE TABLE till_lease (terminal TEXT PRIMARY KEY, version INTEGER) STRICT, WITHOUT ROWID")


@migrations()
def lease_time(db: Database) -> None:
    """Keep for how long a lease was granted: the configuration may change before it is over."""
    db.execute("ALTER TABLE till_lease ADD COLUMN lease_s INTEGER NOT NULL DEFAULT 14400")


class PriceTables:
    """The projection."""

    migrations = migrations

    def apply(self, connection: sqlite3.Connection, messages: Sequence[m.Message]) -> None:
        """Change the tables by one batch, inside the caller's transaction."""
        by_kind: dict[type, list[Any]] = defaultdict(list)
        for message in messages:
            by_kind[type(message)].append(message)
        for kind, keep in _KEEPERS:
            if kind in by_kind:
                keep(connection, by_kind[kind])


def _keep_parts(db: sqlite3.Connection, kept: list[notes.PartKept]) -> None:
    rows = [(_key(n.part.wave), n.part.part, _part_json(n.part)) for n in kept]
    db.executemany("INSERT OR IGNORE INTO price_part VALUES (?, ?, ?)", rows)


def _part_json(part: m.PricePart) -> str:
    """Write a part line by line: 30 000 in one call would keep the interpreter from the tills for too long."""
    lines = ",".join([line.model_dump_json() for line in part.lines])
    return part.model_copy(update={"lines": ()}).model_dump_json().replace('"lines":[]', f'"lines":[{lines}]', 1)


def _keep_heads(db: sqlite3.Connection, heads: Iterable[notes.HeadKept | notes.WaveKept]) -> None:
    rows = [(_key(n.wave), n.at.isoformat(), isinstance(n, notes.HeadKept), n.wave.model_dump_json()) for n in heads]
    db.executemany("INSERT OR REPLACE INTO price_head VALUES (?, ?, ?, ?)", rows)
    db.executemany("DELETE FROM price_part WHERE key = ?", [row[:1] for row in rows])
    db.execute(
        "DELETE FROM price_head WHERE rowid <= (SELECT rowid FROM price_head ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
        (HEADS_REMEMBERED,),
    )


def _keep_waves(db: sqlite3.Connection, waves: list[notes.WaveKept]) -> None:
    _keep_heads(db, waves)
    for note in waves:
        if note.wave.kind == "change":
            db.execute(
                "INSERT OR REPLACE INTO price_wave VALUES (?, ?, NULL)", (note.wave.id, note.wave.model_dump_json())
            )
            lines = [(note.wave.id, line.gtin, line.model_dump_json()) for line in note.lines]
            db.executemany("INSERT OR REPLACE INTO price_line VALUES (?, ?, ?)", lines)


def _keep_states(db: sqlite3.Connection, states: list[notes.WaveState]) -> None:
    db.executemany("UPDATE price_wave SET state = ? WHERE id = ?", [(s.model_dump_json(), s.wave) for s in states])


def _keep_gone(db: sqlite3.Connection, gone: list[notes.LinesGone]) -> None:
    for note in gone:
        db.executemany("DELETE FROM price_line WHERE wave = ? AND gtin = ?", [(note.wave, gtin) for gtin in note.gtins])
    db.executemany("DELETE FROM price_wave WHERE id = ?", [(note.wave,) for note in gone if note.whole])


def _keep_products(db: sqlite3.Connection, updates: list[m.ProductsUpdate]) -> None:
    for update in updates:
        floor = _floor(db, "products")
        rows = [(p.gtin, update.sequence, p.model_dump_json()) for p in update.products if update.sequence >= floor]
        db.executemany(_newer("product", "gtin", "body"), rows)
        if update.full and update.sequence >= floor:
            db.execute("DELETE FROM product WHERE sequence < ?", (update.sequence,))
            _raise_floor(db, "products", update.sequence)


def _keep_facings(db: sqlite3.Connection, updates: list[m.PlanogramUpdate]) -> None:
    for update in updates:
        floor = _floor(db, "planogram")
        rows = [(f.facing, update.sequence, f.model_dump_json()) for f in update.facings if update.sequence >= floor]
        db.executemany(_newer("facing", "facing", "body"), rows)
        if update.full and update.sequence >= floor:
            db.execute("DELETE FROM facing WHERE sequence < ?", (update.sequence,))
            _raise_floor(db, "planogram", update.sequence)


def _keep_bindings(db: sqlite3.Connection, bindings: list[notes.BindingKept]) -> None:
    rows = [(b.label, b.sequence, b.gtin, b.facing) for b in bindings]
    db.executemany("INSERT OR REPLACE INTO binding VALUES (?, ?, ?, ?)", rows)


def _keep_full_bindings(db: sqlite3.Connection, updates: list[m.BindingsUpdate]) -> None:
    for update in updates:
        if update.full and update.sequence >= _floor(db, "bindings"):
            _raise_floor(db, "bindings", update.sequence)


def _keep_glass(db: sqlite3.Connection, glasses: list[notes.GlassKept]) -> None:
    rows = [(g.label, g.revision, int(g.doubted), json.dumps(g.entries)) for g in glasses]
    db.executemany("INSERT OR REPLACE INTO glass VALUES (?, ?, ?, ?)", rows)


def _keep_charges(db: sqlite3.Connection, charges: list[m.PriceCharged]) -> None:
    for c in charges:  # one by one: a product may change twice in a batch
        db.execute(
            "INSERT OR REPLACE INTO charge_superseded SELECT ?, gtin, price_minor FROM charge WHERE gtin = ?",
            (c.version, c.gtin),
        )
        db.execute(
            "INSERT OR REPLACE INTO charge VALUES (?, ?, ?, ?, ?)",
            (c.gtin, c.price_minor, c.wave, int(c.reason == "forced"), c.version),
        )
    _forget_superseded(db)


def _keep_leases(db: sqlite3.Connection, leases: list[notes.LeaseKept]) -> None:
    for lease in leases:
        if lease.version is None:
            db.execute("DELETE FROM till_lease WHERE terminal = ?", (lease.terminal,))
        else:
            db.execute(
                "INSERT OR REPLACE INTO till_lease VALUES (?, ?, ?)", (lease.terminal, lease.version, lease.lease_s)
            )
    _forget_superseded(db)


def _keep_floor(db: sqlite3.Connection, floors: list[notes.VersionFloor]) -> None:
    _raise_floor(db, "price_version", floors[-1].version)


def _forget_superseded(db: sqlite3.Connection) -> None:
    db.execute(
        "DELETE FROM charge_superseded WHERE version <= min("
        "(SELECT coalesce(min(version), 9e18) FROM till_lease), "
        "(SELECT version FROM charge_superseded ORDER BY version DESC LIMIT 1 OFFSET ?))",
        (REMEMBERED,),
    )


def _keep_wanted(db: sqlite3.Connection, wanted: list[m.PriceWanted]) -> None:
    db.executemany("INSERT OR REPLACE INTO wanted VALUES (?, ?, ?)", [(w.gtin, w.price_minor, w.wave) for w in wanted])


def _keep_requests(db: sqlite3.Connection, requests: list[m.Request]) -> None:
    db.executemany("INSERT OR IGNORE INTO request_seen VALUES (?)", [(r.id,) for r in requests])
    db.execute(
        "DELETE FROM request_seen WHERE rowid <= (SELECT rowid FROM request_seen ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
        (REQUESTS_REMEMBERED,),
    )


_KEEPERS: tuple[tuple[type, Callable[[sqlite3.Connection, list[Any]], None]], ...] = (
    (notes.PartKept, _keep_parts),
    (notes.HeadKept, _keep_heads),
    (notes.WaveKept, _keep_waves),
    (notes.WaveState, _keep_states),
    (notes.LinesGone, _keep_gone),
    (m.ProductsUpdate, _keep_products),
    (m.PlanogramUpdate, _keep_facings),
    (m.BindingsUpdate, _keep_full_bindings),
    (notes.BindingKept, _keep_bindings),
    (notes.GlassKept, _keep_glass),
    (m.PriceCharged, _keep_charges),
    (notes.LeaseKept, _keep_leases),
    (notes.VersionFloor, _keep_floor),
    (m.PriceWanted, _keep_wanted),
    (m.Request, _keep_requests),
)


def load(db: sqlite3.Connection, now: datetime) -> Kept:
    """Read everything that Pricing needs at start."""
    full = dict(db.execute("SELECT kind, full_sequence FROM master"))
    return Kept(
        now=now,
        waves=_load_waves(db),
        heads=[
            (m.Wave.model_validate_json(body), bool(refused))
            for body, refused in db.execute("SELECT body, refused FROM price_head ORDER BY rowid")
        ],
        parts=[m.PricePart.model_validate_json(row[0]) for row in db.execute("SELECT body FROM price_part")],
        products={g: (s, m.Product.model_validate_json(b)) for g, s, b in db.execute("SELECT * FROM product")},
        bindings={label: (s, g, f) for label, s, g, f in db.execute("SELECT * FROM binding")},
        full=full,
        glasses=[_glass(now, *row) for row in db.execute("SELECT * FROM glass")],
        charges={g: KeptCharge(p, w, bool(f), v) for g, p, w, f, v in db.execute("SELECT * FROM charge")},
        superseded=[Superseded(*row) for row in db.execute("SELECT * FROM charge_superseded ORDER BY version")],
        leases=dict(db.execute("SELECT terminal, version FROM till_lease")),
        lease_s=dict(db.execute("SELECT terminal, lease_s FROM till_lease")),
        wanted={g: (p, w) for g, p, w in db.execute("SELECT * FROM wanted WHERE price_minor IS NOT NULL")},
        version=full.get("price_version", 0),
        requests=[row[0] for row in db.execute("SELECT id FROM request_seen ORDER BY rowid")],
    )


def _load_waves(db: sqlite3.Connection) -> list[KeptWave]:
    lines: dict[str, list[m.PriceLine]] = defaultdict(list)
    adapter = TypeAdapter(m.PriceLine)
    for wave, body in db.execute("SELECT wave, body FROM price_line"):
        lines[wave].append(adapter.validate_json(body))
    return [
        KeptWave(
            wave=m.Wave.model_validate_json(body),
            lines=tuple(lines[wave]),
            state=None if state is None else notes.WaveState.model_validate_json(state),
        )
        for wave, body, state in db.execute("SELECT id, body, state FROM price_wave ORDER BY rowid")
    ]


def _glass(now: datetime, label: str, revision: int, doubted: int, entries: str) -> notes.GlassKept:
    rows = tuple((*entry, "")[:9] for entry in json.loads(entries))  # older rows have no name of an image
    return notes.GlassKept(
        at=now, source=m.GATEWAY, label=label, revision=revision, doubted=bool(doubted), entries=rows
    )


def _newer(table: str, key: str, value: str) -> str:
    return (  # the names are constants of this file
        f"INSERT INTO {table} ({key}, sequence, {value}) VALUES (?, ?, ?) ON CONFLICT ({key}) DO UPDATE SET "  # noqa: S608
        f"sequence = excluded.sequence, {value} = excluded.{value} WHERE excluded.sequence >= {table}.sequence"
    )


def _floor(db: sqlite3.Connection, kind: str) -> int:
    row = db.execute("SELECT full_sequence FROM master WHERE kind = ?", (kind,)).fetchone()
    return -1 if row is None else int(row[0])


def _raise_floor(db: sqlite3.Connection, kind: str, sequence: int) -> None:
    db.execute("INSERT OR REPLACE INTO master VALUES (?, ?)", (kind, sequence))


def _key(wave: m.Wave) -> str:
    return wave.id if wave.kind == "change" else f"cancel {wave.id}"
