"""The price journal: what is written, tampering, the proof of one minute, and closing old parts."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import messages as m
from gateway.errors import StoreError
from gateway.store import proof_text
from gateway.store.archive import close_part, export_part, read_part, verify_part
from gateway.store.journal import START, Journal, head, verify
from gateway.store.proof import Proof, prove, shelf_then, shelves_then
from gateway.store.schema import connect_writer, migrate
from tests.store.store_kit import AT, GTIN, LABEL, opened, sensor

SHANGHAI = "Asia/Shanghai"
OTHER = "0000000000000ABC"


def minute(number: float) -> datetime:
    return AT.replace(second=0, microsecond=0) + timedelta(minutes=number)


def face(kind: type[m.LabelFact], at: float, revision: int, price: int, **more: object) -> m.LabelFact:
    fields = {
        "at": minute(at), "source": "ap-1", "label": LABEL, "gtin": GTIN, "price_minor": price, "currency": "CNY",
        "wave": "w-1", "digest": f"{revision:064x}", "revision": revision,
    }  # fmt: skip
    return kind.model_validate(fields | more)


def sent(at: float, revision: int, price: int, **more: object) -> m.LabelFact:
    return face(m.LabelSent, at, revision, price, **more)


def shown(at: float, revision: int, price: int, **more: object) -> m.LabelFact:
    return face(m.LabelShown, at, revision, price, proof="pixels", **more)


def failed(at: float, revision: int, price: int, outcome: str, **more: object) -> m.LabelFact:
    return face(m.LabelFailed, at, revision, price, reason="silent", outcome=outcome, **more)


def charged(at: float, price: int | None, reason: str = "fall") -> m.PriceCharged:
    fields = {"at": minute(at), "source": m.GATEWAY, "gtin": GTIN, "price_minor": price, "currency": "CNY", "wave": "w"}
    return m.PriceCharged.model_validate(fields | {"reason": reason})


def wanted(at: float, price: int) -> m.PriceWanted:
    return m.PriceWanted(at=minute(at), source=m.GATEWAY, gtin=GTIN, price_minor=price, currency="CNY", wave="w-1")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect_writer(tmp_path / "journal.db")
    migrate(connection, [Journal.migrations])
    yield connection
    connection.close()


def keep(db: sqlite3.Connection, *messages: m.Message) -> None:
    Journal().apply(db, messages)


def prices(proof: Proof) -> tuple[list[int | None], list[int | None], list[int | None]]:
    return (
        [f.price_minor for one in proof.labels for f in one.proven],
        [f.price_minor for one in proof.labels for f in one.possible],
        [c.price_minor for c in proof.charged],
    )


async def test_each_kind_becomes_a_row_in_the_cores_commit(tmp_path: Path) -> None:
    rendered = m.ShowFace(
        at=minute(1), source=m.GATEWAY, label=LABEL, gtin=GTIN, price_minor=1290, currency="CNY", wave="w-1",
        content="c-1", digest="0" * 64, revision=1,
    )  # fmt: skip
    async with opened(tmp_path / "a.db", projections=[Journal()]) as store:
        await store.append([wanted(0, 1290), sensor(), rendered, sent(1, 1, 1290)])
        stored = face(m.LabelStored, 2, 1, 1290)
        await store.append([stored, shown(3, 1, 1290), charged(3, 1290), failed(4, 2, 990, "settled")])
        rows = await store.read(lambda db: db.execute("SELECT n, kind, via, outcome, detail FROM journal").fetchall())
        assert rows == [
            (1, "wanted", "gateway", None, None), (2, "rendered", "gateway", None, "c-1"),
            (3, "sent", "ap-1", None, None), (4, "stored", "ap-1", None, None), (5, "shown", "ap-1", None, "pixels"),
            (6, "charged", "gateway", None, "fall"), (7, "failed", "ap-1", "settled", "silent"),
        ]  # fmt: skip
        assert await store.read(verify) is None


def fill(db: sqlite3.Connection) -> None:
    for number in range(20):
        keep(
            db, wanted(number, 1000 + number), sent(number, number, 1000 + number), shown(number, number, 1000 + number)
        )


FORGED = (
    "INSERT INTO journal SELECT 61, at, kind, via, label, gtin, 1, 'CNY', wave, digest, 1, '', '', hash, hash "
    "FROM journal WHERE n = 60"
)
TAMPERING = [
    ("UPDATE journal SET price_minor = 1 WHERE n = 31", 31),
    ("UPDATE journal SET at = replace(at, '08:', '09:') WHERE n = 7", 7),
    ("UPDATE journal SET label = 'FFFFFFFFFFFFFFFF' WHERE n = 59", 59),
    ("DELETE FROM journal WHERE n = 12", 12),
    ("DELETE FROM journal WHERE n > 50", 51),
    ("DELETE FROM journal", 1),
    ("UPDATE journal SET hash = zeroblob(32) WHERE n = 60", 60),
    ("UPDATE journal SET prev = zeroblob(32) WHERE n = 4", 4),
    (FORGED, 61),
    ("UPDATE journal SET n = -1 WHERE n = 3", 1),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "broken"), TAMPERING)
def test_tampering_is_found_at_its_row(db: sqlite3.Connection, statement: str, broken: int) -> None:
    fill(db)
    assert verify(db) is None
    db.execute(statement)
    assert verify(db) == broken


@given(
    n=st.integers(1, 60),
    column=st.sampled_from(["at", "kind", "via", "label", "gtin", "price_minor", "wave", "digest", "detail"]),
)
@settings(max_examples=40, deadline=None)
def test_no_column_of_any_row_can_change_unseen(n: int, column: str) -> None:
    connection = connect_writer(Path(":memory:"))
    migrate(connection, [Journal.migrations])
    fill(connection)
    connection.execute(f"UPDATE journal SET {column} = CASE WHEN {column} = 7 THEN 8 ELSE 7 END WHERE n = ?", [n])
    assert verify(connection) == n
    connection.close()


def test_the_head_fixes_all_before_it(db: sqlite3.Connection) -> None:
    fill(db)
    told = head(db)
    db.execute("UPDATE journal SET price_minor = 1 WHERE n = 31")
    rows = db.execute("SELECT * FROM journal ORDER BY n").fetchall()
    assert told == (60, rows[-1][-1])


def test_a_minute_with_one_proven_price(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1290), sent(0, 1, 1290), shown(1.5, 1, 1290))
    proof = prove(db, GTIN, minute(10.5), SHANGHAI)
    assert prices(proof) == ([1290], [], [1290])
    assert proof.fair is True
    [one] = proof.labels
    assert (one.proven[0].proof, one.proven[0].digest, one.proven[0].row) == ("pixels", f"{1:064x}", 3)


def test_a_face_under_way_may_have_been_shown_until_it_is_proven(db: sqlite3.Connection) -> None:
    keep(
        db, charged(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000), sent(5, 2, 1200), shown(7, 2, 1200), charged(7, 1200)
    )
    assert prices(prove(db, GTIN, minute(4), SHANGHAI)) == ([1000], [], [1000])
    assert prices(prove(db, GTIN, minute(6), SHANGHAI)) == ([1000], [1200], [1000])
    assert prices(prove(db, GTIN, minute(8), SHANGHAI)) == ([1200], [], [1200])
    changing = prove(db, GTIN, minute(7), SHANGHAI)
    assert prices(changing) == ([1200], [], [1200])
    assert changing.from_at == minute(7)


def test_both_prices_count_in_the_minute_of_the_change(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000), sent(5.2, 2, 900), shown(5.8, 2, 900))
    proof = prove(db, GTIN, minute(5), SHANGHAI)
    assert prices(proof) == ([1000, 900], [900], [1000])
    assert proof.fair is False


def test_what_never_left_us_was_never_there(db: sqlite3.Connection) -> None:
    keep(db, sent(0, 1, 1000), shown(1, 1, 1000), sent(2, 2, 500), failed(9, 2, 500, "never_sent"))
    assert prices(prove(db, GTIN, minute(5), SHANGHAI))[:2] == ([1000], [])


@pytest.mark.parametrize("outcome", ["settled", "unsettled"])
def test_a_failure_that_may_be_on_the_glass_counts_until_the_next_proof(db: sqlite3.Connection, outcome: str) -> None:
    keep(db, sent(0, 1, 1000), shown(1, 1, 1000), sent(2, 2, 500), failed(3, 2, 500, outcome))
    keep(db, sent(6, 3, 1000), shown(8, 3, 1000))
    assert prices(prove(db, GTIN, minute(5), SHANGHAI))[:2] == ([1000], [500])
    assert prices(prove(db, GTIN, minute(9), SHANGHAI))[:2] == ([1000], [])


def test_what_another_access_point_holds_outlives_a_proof(db: sqlite3.Connection) -> None:
    keep(db, sent(0, 1, 700, source="ap-2"), sent(1, 2, 900), shown(2, 2, 900))
    assert prices(prove(db, GTIN, minute(3), SHANGHAI))[:2] == ([900], [700])
    keep(db, failed(4, 1, 700, "settled", source="ap-2"), shown(5, 2, 900))
    assert prices(prove(db, GTIN, minute(6), SHANGHAI))[:2] == ([900], [])


def test_a_label_that_shows_another_product_is_not_of_this_one(db: sqlite3.Connection) -> None:
    keep(db, sent(0, 1, 1000), shown(1, 1, 1000))
    keep(db, sent(2, 2, 300, gtin="00000000000017"), shown(3, 2, 300, gtin="00000000000017"))
    assert [one.label for one in prove(db, GTIN, minute(1), SHANGHAI).labels] == [LABEL]
    assert prove(db, GTIN, minute(5), SHANGHAI).labels == ()
    assert prove(db, GTIN, minute(5), SHANGHAI).fair is None


def test_the_text_is_for_people_in_the_shops_time(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1290), shown(1, 1, 1290), sent(2, 1, 990, label=OTHER))
    text = proof_text.text(prove(db, GTIN, minute(5), SHANGHAI))
    assert text.splitlines()[0] == f"{GTIN}, 2026-11-22 16:05 (Asia/Shanghai)"
    assert "till:  ¥10.00 CNY since 2026-11-22 16:00:00 (fall)" in text
    assert f"label {LABEL}: showed ¥12.90 CNY, proven 2026-11-22 16:01:00 by pixels" in text
    assert f"label {OTHER}: may have shown ¥9.90 CNY, sent 2026-11-22 16:02:00" in text
    assert "THE TILL MAY HAVE CHARGED MORE" in text
    assert prove(db, GTIN, minute(5).astimezone(ZoneInfo(SHANGHAI)), SHANGHAI).to_json()["fair"] is False


def sold(at: float, price: int, terminal: str = "sco-1") -> m.SaleLine:
    return m.SaleLine(
        at=minute(at), source="tills", terminal=terminal, basket="b-1", line=1, gtin=GTIN, quantity_thousandths=1000,
        weight_mg=None, unit_price_minor=price, amount_minor=price, discount_minor=0, currency="CNY", price_version=3,
        shelf=None, wave="w-1", pending=False,
    )  # fmt: skip


def test_a_sale_is_proven_beside_what_the_labels_could_show_then(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1290), shown(1, 1, 1290), sold(5.5, 1000), sold(6.5, 1300, "sco-2"))
    proof = prove(db, GTIN, minute(5), SHANGHAI)
    assert [(line.terminal, line.price_minor, line.lowest_minor) for line in proof.sold] == [("sco-1", 1000, 1290)]
    assert proof.fair is True
    assert "sold:  ¥10.00 CNY at sco-1, 2026-11-22 16:05:30, basket b-1 line 1" in proof_text.text(proof)
    assert prove(db, GTIN, minute(6), SHANGHAI).fair is False
    assert prove(db, GTIN, minute(7), SHANGHAI).sold == ()


def then(at: float, basis: str) -> m.ShelfThen:
    nothing = {"lowest_minor": None, "charged_minor": None, "version": None, "wave": None, "faces": ()}
    return m.ShelfThen.model_validate({"at": minute(at), "gtin": GTIN, "basis": basis} | nothing)


def test_a_till_whose_clock_is_wrong_is_not_accused(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000), sent(4, 2, 1500), shown(4.5, 2, 1500))
    keep(db, charged(5, 1500))
    keep(db, sold(3, 1500).model_copy(update={"shelf": then(6, "memory")}))  # its clock is three minutes behind
    assert prove(db, GTIN, minute(3), SHANGHAI).sold == ()
    assert prove(db, GTIN, minute(3), SHANGHAI).fair is True
    proof = prove(db, GTIN, minute(6), SHANGHAI)
    assert [(line.price_minor, line.lowest_minor) for line in proof.sold] == [(1500, 1500)]
    assert proof.fair is True
    text = proof_text.text(proof)
    assert "2026-11-22 16:06:00, basket b-1 line 1, till's clock 2026-11-22T08:03:00.000000+00:00 (labels" in text


@pytest.mark.parametrize(
    ("shelf", "at"), [(None, 3), (then(3, "journal"), 3), (then(6, "unknown"), 6)], ids=["none", "same", "unknown"]
)
def test_a_sale_is_kept_by_the_tills_clock_when_nothing_better_is_known(
    db: sqlite3.Connection, shelf: m.ShelfThen | None, at: float
) -> None:
    keep(db, sold(3, 1500).model_copy(update={"shelf": shelf}))
    [line] = prove(db, GTIN, minute(at), SHANGHAI).sold
    assert line.line.startswith("basket b-1 line 1")


def test_what_labels_could_show_at_an_instant_is_found_for_a_till_that_tells_late(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000))
    keep(db, charged(10, 800), sent(11, 2, 800, source="ap-2"), failed(12, 2, 800, "settled", source="ap-2"))
    then = shelf_then(db, GTIN, minute(5))
    assert (then.lowest_minor, then.charged_minor, then.basis) == (1000, 1000, "journal")
    assert [(face.price_minor, face.state) for face in then.faces] == [(1000, "proven")]
    then = shelf_then(db, GTIN, minute(11.5))
    assert (then.lowest_minor, then.charged_minor) == (800, 800)
    assert [(face.price_minor, face.state) for face in then.faces] == [(800, "sent"), (1000, "proven")]
    assert [face.state for face in shelf_then(db, GTIN, minute(13)).faces] == ["settled", "proven"]
    assert shelf_then(db, "00000000000017", minute(5)).basis == "unknown"


def test_many_instants_are_answered_like_each_alone(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000), charged(10, 800), sent(11, 2, 800, source="ap-2"))
    keep(db, failed(3, 2, 800, "settled", source="ap-2"), charged(4, 700), shown(5, 3, 700))  # the clock was set back
    many = [(gtin, minute(number / 2)) for gtin in (GTIN, "00000000000017") for number in range(-1, 30)]
    assert shelves_then(db, many) == {one: shelf_then(db, *one) for one in many}
    assert [shelf_then(db, GTIN, minute(at)).charged_minor for at in (3, 4, 9, 12)] == [1000, 700, 700, 700]


def test_a_batch_reads_each_product_once(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000), shown(1, 1, 1000, label=OTHER))
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    shelves_then(db, [(gtin, minute(number)) for number in range(50) for gtin in (GTIN, "00000000000017")])
    assert len(statements) == 4  # two products and the two labels of the first


def steps(db: sqlite3.Connection, read: Callable[[], object]) -> int:
    """Return how much SQLite works for this, in tens of its instructions."""
    ticks: list[None] = []
    db.set_progress_handler(lambda: ticks.append(None), 10)
    read()
    db.set_progress_handler(None, 0)
    return len(ticks)


def test_what_was_sold_is_not_walked_to_find_what_labels_showed(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000))
    reads: list[Callable[[], object]] = [
        lambda: shelf_then(db, GTIN, minute(30)),
        lambda: prove(db, GTIN, minute(30), SHANGHAI),
    ]
    before = [steps(db, read) for read in reads]
    keep(db, *(sold(5, 1000) for _ in range(2000)))
    assert [steps(db, read) for read in reads] == pytest.approx(before, abs=2)


def test_each_query_of_a_proof_goes_by_an_index(db: sqlite3.Connection) -> None:
    keep(db, charged(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000), sold(5.5, 1000))
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    prove(db, GTIN, minute(5), SHANGHAI)
    db.set_trace_callback(None)
    plans = [[row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")] for statement in statements]
    used = [next(step for step in plan if step.startswith("SEARCH journal USING")) for plan in plans]
    assert used == [
        "SEARCH journal USING INDEX journal_shelf (gtin=?)",
        "SEARCH journal USING INDEX journal_label (label=?)",
        "SEARCH journal USING INDEX journal_sold (gtin=? AND at>? AND at<?)",
    ]
    assert not [step for plan in plans for step in plan if step.startswith("SCAN")]


def test_an_unknown_product_is_said(db: sqlite3.Connection) -> None:
    text = proof_text.text(prove(db, "00000000000000", minute(0), "Europe/Berlin"))
    assert "nothing recorded" in text
    assert "none had it" in text


def test_old_parts_leave_and_the_chain_and_the_proof_stay(db: sqlite3.Connection, tmp_path: Path) -> None:
    keep(db, charged(0, 1000), wanted(0, 1000), sent(0, 1, 1000), shown(1, 1, 1000), sent(2, 1, 800, label=OTHER))
    late = 450 * 24 * 60
    keep(db, charged(late, 900), sent(late, 2, 900))
    part = export_part(db, minute(late), tmp_path / "old")
    assert part is not None
    db.execute("BEGIN")
    close_part(db, part, minute(late))
    db.execute("COMMIT")
    assert db.execute("SELECT min(n), max(n) FROM journal").fetchone() == (6, 7)
    assert verify(db) is None
    assert verify_part(part.path) == part.hash
    assert [entry.kind for entry in read_part(part.path)] == ["charged", "wanted", "sent", "shown", "sent"]
    assert prices(prove(db, GTIN, minute(late - 10), SHANGHAI)) == ([1000], [800], [1000])
    assert prices(prove(db, GTIN, minute(late + 1), SHANGHAI)) == ([1000], [800, 900], [900])
    assert export_part(db, minute(late), tmp_path / "old") is None
    keep(db, shown(late, 2, 900))
    assert verify(db) is None
    db.execute("UPDATE journal_carried SET price_minor = 1 WHERE kind = 'shown'")
    assert verify(db) == 4


def test_a_closed_part_cannot_be_changed_unseen(db: sqlite3.Connection, tmp_path: Path) -> None:
    fill(db)
    part = export_part(db, minute(500 * 24 * 60), tmp_path)
    assert part is not None
    assert verify_part(part.path, START) == part.hash
    assert verify_part(part.path, b"x" * 32) is None


def test_a_broken_chain_is_not_archived(db: sqlite3.Connection, tmp_path: Path) -> None:
    fill(db)
    db.execute("UPDATE journal SET price_minor = 1 WHERE n = 31")
    with pytest.raises(StoreError, match="broken at row 31"):
        export_part(db, minute(500 * 24 * 60), tmp_path)


def test_a_part_that_does_not_fit_the_table_is_not_closed(db: sqlite3.Connection, tmp_path: Path) -> None:
    fill(db)
    part = export_part(db, minute(500 * 24 * 60), tmp_path)
    assert part is not None
    db.execute("UPDATE journal SET hash = zeroblob(32) WHERE n = 60")
    with pytest.raises(StoreError, match="does not end"):
        close_part(db, part, AT)


async def test_the_head_that_head_office_is_told_is_that_of_the_last_row(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db", projections=[Journal()]) as store:
        assert await store.journal_head() == (0, START)
        await store.append([wanted(1, 300), sensor(), charged(2, 300)])
        n, last = await store.read(lambda db: db.execute("SELECT n, hash FROM journal ORDER BY n DESC").fetchone())
        assert await store.journal_head() == (n, last) == (2, last)
