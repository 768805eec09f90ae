"""The way to the repository: a real store, a real server on loopback, and everything that can go wrong in between."""

import asyncio
import json
import os
import ssl
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from gateway import messages as m
from gateway.certificates.mint import make_authority, make_leaf
from gateway.count_notes import CountClosed, CountOpened, CountSeen, SeenItem
from gateway.epcis import exporter as module
from gateway.epcis.mapping import Steps
from gateway.store.apply_counts import CountTables
from gateway.store.apply_epcis import EpcisTables
from gateway.store.store import Store
from gateway.uplink.backoff import PERSON_S
from tests.epcis.epcis_kit import (
    AT,
    SCHEMA,
    ZONES,
    Reports,
    arrived,
    config,
    epc,
    exporter,
    finished,
    make,
    received,
    repository,
    running,
    sold,
)
from tests.mosquitto import until
from tests.store.store_kit import SetClock, crashed, opened

ROOT = Path(__file__).parent.parent.parent
STEPS = Steps(ZONES)
PATIENCE_S = 10.0


def projections(max_items: int = 500_000) -> list[Any]:
    return [CountTables(), EpcisTables(STEPS, max_items)]


def later(**by: float) -> SetClock:
    clock = SetClock(AT)
    clock.go(**by or {"seconds": 30})
    return clock


async def left_in(store: Store) -> tuple[int, int, dict[str, int]]:
    def count(db: Any) -> tuple[int, int, dict[str, int]]:
        (items,) = db.execute("SELECT count(*) FROM epcis_item").fetchone()
        (events,) = db.execute("SELECT count(*) FROM epcis_event").fetchone()
        return items, events, dict(db.execute("SELECT key, value FROM epcis_state").fetchall())

    return await store.read(count)


async def until_left(store: Store, events: int) -> None:
    """Wait for the deletion, which comes after the answer."""
    async with asyncio.timeout(PATIENCE_S):
        while (await left_in(store))[1] != events:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)


async def test_what_is_committed_arrives_once_and_is_gone_from_the_store(tmp_path: Path) -> None:
    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        await store.append([arrived(serial=n) for n in range(5)])
        await store.append([received(6, 7, document="DN-1"), sold(8)])
        async with running(exporter(config(peer.url), store, later(), reports)):
            await until(lambda: len(peer.taken) == 3)
            await until(lambda: "events_taken" in reports.reasons())
            assert await left_in(store) == (0, 0, {"items": 0, "dropped": 0})
    (document,) = peer.documents
    SCHEMA.validate(document)
    assert [(e["bizStep"], len(e["epcList"])) for e in peer.taken] == [
        ("stocking", 5),
        ("receiving", 2),
        ("retail_selling", 1),
    ]
    assert peer.headers[0]["Content-Type"] == "application/ld+json"
    assert peer.headers[0]["GS1-EPCIS-Version"] == "2.0.0"
    assert reports.said[-1][0] == "online"


async def test_a_bucket_waits_for_its_end(tmp_path: Path) -> None:
    clock = SetClock(AT)
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        await store.append([arrived(serial=1)])
        one = exporter(config(peer.url, bucket_s=2), store, clock, Reports())
        composer = make(config(peer.url, bucket_s=2))
        for passed_s, whole in ((0, 0), (1, 0), (2.5, 0), (3, 1)):
            clock.at = AT + timedelta(seconds=passed_s)
            await one.compose(composer)
            assert (await left_in(store))[1] == whole, passed_s


async def test_a_clock_that_is_absurdly_ahead_holds_nothing_up(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        await store.append([sold(1, at=AT + timedelta(days=300))])
        async with running(exporter(config(peer.url), store, later(), Reports())):
            await until(lambda: len(peer.taken) == 1)


async def test_a_count_tells_what_it_heard(tmp_path: Path) -> None:
    opened_count = CountOpened(
        at=AT,
        source="hq",
        session="night",
        kind="count",
        zones=("floor",),
        limit_s=60,
        document=None,
        expected=(),
        lines=None,
    )
    heard = tuple(SeenItem(epc(n), None, "floor", -5000, 3, 1) for n in range(4))
    seen = CountSeen(at=AT, source=m.GATEWAY, session="night", items=heard, reads=9, slots=3)
    verdicts = ((epc(0), "found"), (epc(1), "unexpected"), (epc(2), "elsewhere"), (epc(3), "gone"), (epc(9), "missing"))
    closed = CountClosed(
        at=AT, source=m.GATEWAY, session="night", ended="complete", coverage=None, items=verdicts, rows=(), counted=None
    )
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        await store.append([opened_count, seen])
        await store.append([finished(), closed])
        async with running(exporter(config(peer.url), store, later(), Reports())):
            await until(lambda: len(peer.taken) == 1)
    (event,) = peer.taken
    names = make(config())._names
    assert (event["bizStep"], event["epcList"]) == ("cycle_counting", [names.epc(epc(0)), names.epc(epc(1))])


async def test_a_kill_between_acceptance_and_deletion_sends_the_same_events(tmp_path: Path) -> None:
    """The copy is the database as a kill would leave it at the moment in which the repository had said yes."""
    copies: list[Path] = []

    async def take_and_copy(_request: web.Request) -> web.Response:
        if not copies:
            copies.append(crashed(tmp_path / "a.db", tmp_path / "after"))
        return web.Response(status=202)

    async with repository(take_and_copy) as peer:
        async with opened(tmp_path / "a.db", projections=projections()) as store:
            await store.append([*(arrived(serial=n) for n in range(5)), sold(8)])
            async with running(exporter(config(peer.url), store, later(), Reports())):
                await until(lambda: len(peer.taken) == 2)
        async with opened(copies[0], projections=projections()) as store:
            await store.append([arrived(serial=99)])  # of the same bucket, and nothing that was said before changes
            async with running(exporter(config(peer.url), store, later(hours=3), Reports())):
                await until(lambda: len(peer.taken) == 5)
                await until_left(store, 0)
    first, again, new = peer.ids()[:2], peer.ids()[2:4], peer.ids()[4:]
    assert first == again
    assert peer.events()[:2] == peer.events()[2:4]
    assert len(set(new) | set(first)) == 3


async def test_a_killed_process_that_was_not_answered_sends_the_same_events(tmp_path: Path) -> None:
    killed: list[int] = []

    async def take_and_kill(_request: web.Request) -> web.Response:
        if process is not None and not killed:
            killed.append(process.pid)
            process.kill()
        return web.Response(status=202)

    command = [sys.executable, str(Path(__file__).with_name("kill_target.py")), str(tmp_path / "a.db")]
    process = None
    async with repository(take_and_kill) as peer:
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                *command, peer.url, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=asyncio.subprocess.PIPE
            )
            async with asyncio.timeout(60):
                said, _ = await process.communicate()
        assert said.decode().split() == ["left", "0"]
    assert killed
    assert len(peer.documents) == 2
    assert peer.documents[0]["epcisBody"] == peer.documents[1]["epcisBody"]


async def test_a_kill_before_composition_loses_nothing_and_says_the_same(tmp_path: Path) -> None:
    async with repository() as peer:
        async with opened(tmp_path / "a.db", projections=projections()) as store:
            await store.append([*(arrived(serial=n) for n in range(5)), sold(8)])
            copy = crashed(tmp_path / "a.db", tmp_path / "after")
            async with running(exporter(config(peer.url), store, later(), Reports())):
                await until(lambda: len(peer.taken) == 2)
        async with (
            opened(copy, projections=projections()) as store,
            running(exporter(config(peer.url), store, later(hours=3), Reports())),
        ):
            await until(lambda: len(peer.taken) == 4)
    assert peer.ids()[:2] == peer.ids()[2:]


@pytest.mark.parametrize("status", [500, 429])
async def test_trouble_of_the_repository_is_waited_for(tmp_path: Path, status: int) -> None:
    tries = 0

    async def third_time(_request: web.Request) -> web.Response:
        nonlocal tries
        tries += 1
        return web.Response(status=202 if tries > 2 else status)

    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(third_time) as peer:
        await store.append([sold(1)])
        async with running(exporter(config(peer.url), store, later(), reports)):
            await until(lambda: len(peer.taken) == 1)
            await until(lambda: reports.reasons()[-1] == "events_taken")
        assert (await left_in(store))[:2] == (0, 0)
    assert reports.reasons()[:3] == ["unreachable", "unreachable", "events_taken"]
    assert len(set(peer.ids())) == 1


@pytest.mark.parametrize("status", [401, 404, 301])
async def test_what_a_person_must_mend_keeps_all(tmp_path: Path, status: int) -> None:
    answers = {"status": status}

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=answers["status"], headers={"Location": "http://127.0.0.1:1/elsewhere"})

    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(answer) as peer:
        await store.append([sold(1), arrived(serial=2)])
        one = exporter(config(peer.url), store, later(), reports)
        async with running(one):
            await until(lambda: len(peer.documents) == 2)
            assert set(reports.reasons()) == {"settings"}
            assert one._backoff._ceiling >= PERSON_S  # no hammering at a door that only a person can open
            assert (await left_in(store))[1] == 2
            answers["status"] = 201
            await until(lambda: len(peer.taken) == 2)


async def test_one_wrong_event_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """A document with it is refused whole, as the standard has it; it is found by halving and set aside."""
    bad = "/21/13"

    async def refuse(request: web.Request) -> web.Response:
        if bad in (await request.read()).decode():
            problem = {"type": "epcisException:ValidationException", "title": "no such product", "detail": "13"}
            return web.json_response(problem, status=400, content_type="application/problem+json")
        return web.Response(status=202)

    reports = Reports()
    sales = [sold(n, at=AT + timedelta(seconds=n)) for n in range(1, 21)]
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(refuse) as peer:
        await store.append(sales)
        async with running(exporter(config(peer.url), store, later(seconds=60), reports)):
            await until_left(store, 1)
            await until(lambda: reports.said[-1][:2] == ("degraded", "events_refused"))
        assert len(peer.taken) == 19
        assert len(peer.ids()) < 80
        reason = await store.read(lambda db: db.execute("SELECT refused FROM epcis_event").fetchone()[0])
        assert reason == "400 no such product: 13"
        bad = "nothing"  # a person has mended the repository; at the next start it is tried again
        async with running(exporter(config(peer.url), store, later(seconds=60), reports)):
            await until(lambda: len(peer.taken) == 20)
    assert len({event["eventID"] for event in peer.taken}) == 20


async def test_a_repository_that_refuses_all_is_asked_ever_more_slowly(tmp_path: Path) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=400, text="<html>no</html>")

    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(refuse) as peer:
        await store.append([sold(n, at=AT + timedelta(seconds=n)) for n in range(1, 41)])
        one = exporter(config(peer.url), store, later(seconds=90), Reports())
        async with running(one):
            await until(lambda: len(peer.documents) >= 12)
        loop = asyncio.get_running_loop()
        assert one._backoff.delay_s(loop.time(), module.TURNED_AWAY_S) > 0.03  # 6 s and more, but for the scale
        assert (await left_in(store))[1] == 40


async def test_a_document_too_large_is_made_smaller(tmp_path: Path) -> None:
    async def small_only(request: web.Request) -> web.Response:
        return web.Response(status=413 if len(await request.read()) > 3000 else 202)

    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(small_only) as peer:
        await store.append([sold(n, at=AT + timedelta(seconds=n)) for n in range(1, 41)])
        async with running(exporter(config(peer.url), store, later(seconds=60), Reports())):
            await until(lambda: len(peer.taken) == 40)
    assert [len(event["epcList"]) for event in peer.taken] == [1] * 40


async def test_documents_are_bounded(tmp_path: Path) -> None:
    facts = [received(*range(n * 900, n * 900 + 900), at=AT + timedelta(seconds=n)) for n in range(6)]
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        await store.append(facts)
        of = config(peer.url, max_document_kib=128)
        one = exporter(of, store, later(), Reports())
        while await one.compose(make(of)):
            pass
        async with running(one):
            await until(lambda: sum(len(event["epcList"]) for event in peer.taken) == 5400)
    sizes = [len(json.dumps(document, separators=(",", ":"))) for document in peer.documents]
    assert len(sizes) > 1
    assert all(64 * 1024 < size < 129 * 1024 for size in sizes[:-1])


async def test_an_idle_export_knows_whether_the_repository_is_there(tmp_path: Path) -> None:
    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections()) as store:
        async with repository() as peer:
            one = exporter(config(peer.url), store, later(), reports)
            task = asyncio.create_task(one.run())
            await until(lambda: reports.reasons()[-2:] == ["answers", "answers"])
            assert peer.documents == []
        await until(lambda: reports.reasons()[-1] == "unreachable")
        task.cancel()
        await asyncio.wait([task])


async def test_what_the_repository_has_already_is_taken(tmp_path: Path) -> None:
    async def conflict(_request: web.Request) -> web.Response:
        return web.Response(status=409)

    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(conflict) as peer:
        await store.append([sold(1), arrived(serial=2)])
        async with running(exporter(config(peer.url), store, later(), reports)):
            await until(lambda: "events_taken" in reports.reasons())
            await until(lambda: len(peer.documents) >= 3)
        assert "events_refused" not in reports.reasons()


async def test_a_slow_repository_is_given_up_and_asked_again(tmp_path: Path) -> None:
    hanging = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        if not hanging.is_set():
            hanging.set()
            await asyncio.sleep(3600)
        return web.Response(status=202)

    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(slow) as peer:
        await store.append([sold(1)])
        async with running(exporter(config(peer.url), store, later(), reports, attempt_s=0.2)):
            await until(lambda: len(peer.taken) == 1)
    assert "no answer in time" in reports.said[0][2]


async def test_a_cut_in_the_middle_of_an_answer_is_asked_again(tmp_path: Path) -> None:
    """Cut after the head: whether it was taken cannot be known, so it goes again, with the same ids."""
    tries = 0

    async def cut(request: web.Request) -> web.StreamResponse:
        nonlocal tries
        tries += 1
        if tries > 3:
            return web.Response(status=202)
        assert request.transport is not None
        if tries == 3:
            answer = web.StreamResponse(status=202, headers={"Content-Length": "100"})
            await answer.prepare(request)
            await answer.write(b"x" * 10)
        request.transport.abort()
        return web.Response(status=500)

    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(cut) as peer:
        await store.append([sold(1)])
        async with running(exporter(config(peer.url), store, later(), Reports())):
            await until(lambda: len(peer.documents) == 4)
            await until(lambda: bool(peer.taken))
    assert len(set(peer.ids())) == 1


def with_job(peer: Any, *states: dict[str, Any]) -> None:
    async def answer(_request: web.Request) -> web.Response:
        name = f"job{len(peer.jobs)}"
        peer.jobs[name] = list(states)
        return web.Response(status=202, headers={"Location": f"/capture/{name}"})

    peer.answer = answer


RUNNING = {"running": True, "success": True}
DONE = {"running": False, "success": True}
FAILED = {"running": False, "success": False, "errors": [{"title": "no such step", "detail": "receiving"}]}


async def test_a_job_is_followed_to_its_end(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        with_job(peer, RUNNING, RUNNING, DONE)
        await store.append([sold(1)])
        reports = Reports()
        async with running(exporter(config(peer.url), store, later(), reports)):
            await until(lambda: "events_taken" in reports.reasons())
        assert peer.jobs == {"job0": [DONE]}
        assert (await left_in(store))[:2] == (0, 0)


async def test_a_job_that_fails_after_202_loses_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        with_job(peer, RUNNING, FAILED)
        await store.append([sold(1), arrived(serial=2)])
        reports = Reports()
        async with running(exporter(config(peer.url), store, later(), reports)):
            await until(lambda: "events_refused" in reports.reasons())
        assert (await left_in(store))[1] == 2
        reason = await store.read(lambda db: db.execute("SELECT max(refused) FROM epcis_event").fetchone()[0])
        assert "no such step" in reason


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/capture/x", "/capture-of-nobody", "http://[::"])
async def test_a_job_that_cannot_be_asked_is_believed(tmp_path: Path, location: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=202, headers={"Location": location})

    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(answer) as peer:
        await store.append([sold(1)])
        reports = Reports()
        async with running(exporter(config(peer.url), store, later(), reports)):
            await until(lambda: "events_taken" in reports.reasons())


async def test_a_repository_that_is_away_is_met_when_it_comes(tmp_path: Path) -> None:
    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections()) as store:
        await store.append([sold(1)])
        async with repository() as peer:
            url = peer.url
        one = exporter(config(url), store, later(), reports)
        async with running(one):
            await until(lambda: "unreachable" in reports.reasons())
            await store.append([sold(2)])
            assert await one._rows.waiting(10)


async def test_above_the_bound_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections(1000)) as store, repository() as peer:
        for n in range(15):  # nobody composes: the items themselves are bounded
            await store.append([received(*range(n * 100, n * 100 + 100), at=AT + timedelta(seconds=n))])
        assert await left_in(store) == (1000, 0, {"items": 0, "dropped": 500})
        of = config(peer.url, max_items=1000)
        one = exporter(of, store, later(), reports)
        await one.compose(make(of))
        for n in range(15, 20):  # nobody sends: so are the events
            await store.append([received(*range(n * 100, n * 100 + 100), at=AT + timedelta(seconds=n))])
        await one.compose(make(of))
        assert await left_in(store) == (0, 10, {"items": 1000, "dropped": 1000})
        async with running(one):
            await until(lambda: len(peer.taken) == 10)
            await until(lambda: bool(reports.said))
        assert reports.said[-1][:2] == ("degraded", "items_dropped")
        assert reports.said[-1][2].startswith("1000 items")
        assert {event["eventTime"] for event in peer.taken} == {f"2026-11-22T08:00:{n}.000Z" for n in range(10, 20)}


async def test_a_salvaged_file_that_lost_its_counters_is_counted_anew(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        await store.append([received(1, 2), sold(3)])
        of = config(peer.url)
        one = exporter(of, store, later(), Reports())
        await one.compose(make(of))
        await store.write(lambda db: db.execute("DELETE FROM epcis_state"))
        await one._rows.retry()
        assert await left_in(store) == (0, 2, {"items": 3, "dropped": 0})
        async with running(one):
            await until(lambda: len(peer.taken) == 2)


async def test_a_token_or_a_password_is_read_anew_at_each_attempt(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n", "utf-8")

    async def guarded(request: web.Request) -> web.Response:
        return web.Response(status=202 if request.headers.get("Authorization") == "Bearer new" else 401)

    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(guarded) as peer:
        await store.append([sold(1)])
        reports = Reports()
        async with running(exporter(config(peer.url, token_file=token), store, later(), reports)):
            await until(lambda: "settings" in reports.reasons())
            token.write_text("new\n", "utf-8")
            await until(lambda: len(peer.taken) == 1)
    assert not any("old" in evidence or "new" in evidence for _, _, evidence in reports.said)


async def test_basic_access(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim", "utf-8")
    of: dict[str, Any] = {"username": "shop", "password_file": tmp_path / "password"}
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        await store.append([sold(1)])
        async with running(exporter(config(peer.url, **of), store, later(), Reports())):
            await until(lambda: len(peer.taken) == 1)
    assert peer.headers[0]["Authorization"] == "Basic c2hvcDpnZWhlaW0="


async def test_a_missing_key_stops_the_export_and_nothing_else(tmp_path: Path) -> None:
    key = tmp_path / "key"
    reports = Reports()
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository() as peer:
        await store.append([sold(1)])
        of = config(peer.url, serials="hashed", hash_key_file=key)
        async with running(exporter(of, store, later(), reports)):
            await until(lambda: "settings" in reports.reasons())
            key.write_text("0123456789abcdef", "utf-8")
            await until(lambda: len(peer.taken) == 1)


def served(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context for this machine, and the file of the authority that signed it."""
    now = datetime.now(UTC)
    authority = make_authority("test", None, now)
    leaf = make_leaf(authority, ["localhost"], [ip_address("127.0.0.1")], now)
    (folder / "leaf.pem").write_bytes(leaf.pem)
    (folder / "ca.pem").write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    return context, folder / "ca.pem"


async def test_tls_with_an_authority_of_ones_own_and_nobody_else(tmp_path: Path) -> None:
    context, ca = served(tmp_path)
    async with opened(tmp_path / "a.db", projections=projections()) as store, repository(tls=context) as peer:
        await store.append([sold(1)])
        stranger = Reports()
        async with running(exporter(config(peer.url), store, later(), stranger)):
            await until(lambda: "unreachable" in stranger.reasons())
        assert "certificate" in stranger.said[0][2]
        assert peer.documents == []
        async with running(exporter(config(peer.url, ca_file=ca), store, later(), Reports())):
            await until(lambda: len(peer.taken) == 1)
        nobody = Reports()
        async with running(exporter(config(peer.url, ca_file=tmp_path / "none.pem"), store, later(), nobody)):
            await until(lambda: "settings" in nobody.reasons())
