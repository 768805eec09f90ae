"""Life of the driver: discovery, facts, exactly one end per face, restarts, health, blink, check. Virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from drivers.label_oepl import OVERTAKEN_MAX, WISHES_MAX, Config, Driver
from drivers.simulators.access_point import ApConfig
from gateway.driver import Checkable, Labels
from gateway.errors import LinkDown, Rejected
from gateway.messages import LabelDoubted, LabelFailed, LabelHealth, LabelLeft, LabelSeen, LabelShown, LabelStored
from tests.drivers.oepl_shop import OTHER, SMALL_BWR, TAG, Shop, open_shop
from tests.virtual_time import eventually, run

TWO = ApConfig(macs=(TAG, OTHER), types=(SMALL_BWR, 0xBB))


def in_shop(test: Callable[[Shop], Awaitable[None]], config: ApConfig | None = None, **settings: Any) -> None:
    async def main() -> None:
        async with open_shop(config, **settings) as shop:
            await test(shop)
            assert shop.late == []

    run(main)


def reasons(shop: Shop, *revisions: int) -> list[tuple[str, str]]:
    """Return reason and outcome of the failures of these revisions, in order of telling."""
    return [(m.reason, m.outcome) for m in shop.messages if isinstance(m, LabelFailed) and m.revision in revisions]


def test_the_driver_is_what_the_gateway_asks_for() -> None:
    async def test(shop: Shop) -> None:
        assert isinstance(shop.driver, Labels)
        assert isinstance(shop.driver, Checkable)

    in_shop(test)


def test_labels_are_discovered_with_size_colours_and_signal() -> None:
    async def test(shop: Shop) -> None:
        seen = shop.seen()
        assert (seen[TAG].width, seen[TAG].height, seen[TAG].colors) == (152, 152, ("white", "black", "red"))
        assert seen[OTHER].colors == ("black", "white", "yellow", "red")
        assert seen[TAG].source == "ap-1"
        assert seen[TAG].rssi_dbm == shop.ap.tags[TAG].rssi

    in_shop(test, TWO)


def test_readings_come_at_least_every_ten_minutes_and_health_hourly() -> None:
    async def test(shop: Shop) -> None:
        await asyncio.sleep(2 * 3600)
        at = [m.at for m in shop.messages if isinstance(m, LabelSeen) and m.label == TAG]
        assert max(later - earlier for earlier, later in pairwise(at)) <= timedelta(minutes=10)
        told = [m for m in shop.messages if isinstance(m, LabelHealth)]
        assert 2 <= len(told) <= 3
        assert told[-1].last_seen is not None

    in_shop(test)


def test_a_model_that_the_access_point_cannot_name_is_told_and_harms_no_other() -> None:
    async def test(shop: Shop) -> None:
        shop.ap.box.records[OTHER].hw_type = 0x7D
        shop.ap.tags[OTHER].kind_number = 0x7D
        shop.messages.clear()
        await eventually(lambda: TAG in shop.seen(), 900)
        await eventually(lambda: shop.health[-1][1] == "bad_records", 900)
        assert "type 7D" in shop.health[-1][2]
        face = await shop.show(1)
        assert isinstance(await shop.outcome(face), LabelShown)

    in_shop(test, TWO)


def left(shop: Shop) -> list[str]:
    return [m.label for m in shop.messages if isinstance(m, LabelLeft)]


def test_a_label_that_was_silent_for_longer_than_anything_is_kept_for_it_has_left() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: shop.ap.box.queued(TAG), 60)
        shop.fault("silence_tag", TAG)
        await shop.outcome(face)
        assert left(shop) == []
        await asyncio.sleep(3600)
        assert set(left(shop)) == {TAG}

    in_shop(test, TWO)


def test_a_silent_label_whose_upload_waits_unconverted_has_not_left() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: ("POST", "/imgupload") in shop.link.requests, 60)
        shop.ap.box.flash_is_full = True
        shop.fault("silence_tag", TAG)
        found = await shop.outcome(face)
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("not_converted", "unsettled")
        await asyncio.sleep(7200)
        assert left(shop) == []
        shop.fault("flash_full", full=False)
        await asyncio.sleep(7200)
        assert set(left(shop)) == {TAG}

    in_shop(test)


def test_a_low_battery_is_told_at_once_and_no_reading_is_none() -> None:
    async def test(shop: Shop) -> None:
        shop.fault("battery", TAG, 2300)
        await eventually(lambda: [m for m in shop.messages if isinstance(m, LabelHealth) and m.battery_mv == 2300], 300)
        shop.fault("battery", TAG, 1337)
        await asyncio.sleep(3600)
        assert shop.seen()[TAG].battery_mv is None

    in_shop(test)


def test_facts_carry_what_the_face_carries() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        shown = await shop.outcome(face)
        assert isinstance(shown, LabelShown)
        for fact in (*shop.stored(face), shown):
            assert (fact.cause, fact.wave, fact.gtin) == ("wave-1", "wave-1", face.gtin)
            assert (fact.price_minor, fact.currency, fact.digest) == (101, "CNY", face.digest)
            assert fact.source == "ap-1"
        assert shown.proof == "pixels"
        kinds = [type(m) for m in shop.messages if isinstance(m, LabelStored | LabelShown)]
        assert kinds == [LabelStored, LabelShown]
        assert shown.at > datetime.fromtimestamp(shop.clock.epoch_s, UTC)

    in_shop(test)


def test_a_packed_panel_in_another_order_of_colours() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1, OTHER)
        assert isinstance(await shop.outcome(face), LabelShown)
        assert shop.shows(face)

    in_shop(test, TWO)


def test_of_many_wishes_the_newest_wins_and_each_has_one_end() -> None:
    async def test(shop: Shop) -> None:
        faces = [await shop.show(revision) for revision in range(1, 8)]
        assert isinstance(await shop.outcome(faces[-1]), LabelShown)
        assert shop.shows(faces[-1])
        assert [len(shop.terminal(face)) for face in faces] == [1] * 7
        assert reasons(shop, *range(1, 7)) == [("superseded", "never_sent")] * 6
        assert shop.link.requests.count(("POST", "/imgupload")) == 1

    in_shop(test)


def test_too_many_wishes_are_refused_not_lost() -> None:
    async def test(shop: Shop) -> None:
        shop.hold = asyncio.Event()
        for revision in range(OVERTAKEN_MAX + 1):
            await shop.show(revision)
        with pytest.raises(Rejected):
            await shop.show(99)
        for number in range(WISHES_MAX - 1):
            await shop.driver.show(replace(shop.face(1), label=f"{number:016X}"))
        with pytest.raises(Rejected):
            await shop.driver.show(replace(shop.face(1), label="F" * 16))
        shop.hold.set()

    in_shop(test)


def test_an_unknown_label_fails_without_a_byte_sent() -> None:
    async def test(shop: Shop) -> None:
        face = replace(shop.face(1), label="00000000000000FF")
        await shop.driver.show(face)
        found = await shop.outcome(face)
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("unknown_label", "never_sent")

    in_shop(test)


def test_a_colour_that_the_label_lacks_fails_without_a_byte_sent() -> None:
    async def test(shop: Shop) -> None:
        found = await shop.outcome(await shop.show(1, colors=("white", "black", "green")))
        assert isinstance(found, LabelFailed)
        assert "no green" in found.reason
        assert found.outcome == "never_sent"

    in_shop(test)


def test_a_stop_in_the_middle_is_told_at_the_next_start() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: shop.ap.box.queued(TAG), 60)
        await shop.stop()
        assert shop.terminal(face) == []
        shop.start()
        assert isinstance(await shop.outcome(face), LabelFailed)
        assert reasons(shop, 1) == [("driver_restarted", "unsettled")]
        assert shop.shows(await shop.converge(2))

    in_shop(test)


def test_a_wish_made_while_stopped_is_served_after_the_start() -> None:
    async def test(shop: Shop) -> None:
        await shop.stop()
        face = await shop.show(1)
        shop.start()
        assert isinstance(await shop.outcome(face), LabelShown)

    in_shop(test)


@pytest.mark.parametrize("where", ["hold", "slow_return"])
def test_a_stop_while_the_end_is_being_told_does_not_tell_it_twice(where: str) -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: shop.stored(face))
        gate = asyncio.Event()
        setattr(shop, where, gate)
        await eventually(lambda: shop.shows(face))
        await asyncio.sleep(120)  # the check-in has come, the fact waits before the disk or behind it
        stopping = asyncio.create_task(shop.stop())
        await asyncio.sleep(0.1)
        gate.set()
        await stopping
        shop.start()
        await asyncio.sleep(60)
        assert [m.revision for m in shop.messages if isinstance(m, LabelShown)] == [1]
        assert [m for m in shop.messages if isinstance(m, LabelFailed)] == []

    in_shop(test)


def test_a_proof_survives_a_restart_of_the_driver_and_is_watched_on() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await shop.outcome(face)
        await shop.stop()
        shop.fault("reboot_tag", TAG)
        await asyncio.sleep(60)
        shop.start()
        await eventually(lambda: shop.taken_back(face), 120)

    in_shop(test)


@pytest.mark.parametrize("silent", [False, True])
def test_a_break_of_the_stream_before_the_end_is_a_weak_trace(*, silent: bool) -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: shop.ap.box.queued(TAG), 60)
        shop.fault("drop_ws", silent=silent)
        found = await shop.outcome(face)
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("stream_lost", "unsettled")
        assert shop.shows(await shop.converge(2))

    in_shop(test)


def test_a_break_after_all_is_stored_costs_nothing() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: shop.stored(face))
        shop.fault("drop_ws")
        assert isinstance(await shop.outcome(face), LabelShown)

    in_shop(test)


def doubted(shop: Shop) -> list[str]:
    return [m.reason for m in shop.messages if isinstance(m, LabelDoubted) and m.label == TAG]


def test_a_label_that_restarted_while_no_driver_lived_is_doubted_once() -> None:
    async def test(shop: Shop) -> None:
        await shop.outcome(await shop.show(1))
        await shop.stop()
        shop.fault("reboot_tag", TAG)
        await asyncio.sleep(60)
        shop.driver = Driver(shop.driver._config, shop.driver._services, shop.link)  # a new process knows no face
        shop.messages.clear()
        shop.start()
        await eventually(lambda: doubted(shop), 60)
        await asyncio.sleep(7200)
        assert doubted(shop) == ["tag_rebooted"]
        face = await shop.show(2)
        assert isinstance(await shop.outcome(face), LabelShown)
        shop.fault("reboot_tag", TAG)
        await eventually(lambda: shop.taken_back(face), 120)
        assert doubted(shop) == ["tag_rebooted"]

    in_shop(test)


def test_what_somebody_else_writes_to_a_label_whose_face_is_not_known_is_doubted() -> None:
    async def test(shop: Shop) -> None:
        await shop.outcome(await shop.show(1))
        await shop.stop()
        shop.driver = Driver(shop.driver._config, shop.driver._services, shop.link)
        shop.messages.clear()
        shop.start()
        await shop.discovered()
        shop.fault("foreign_upload", TAG)
        await eventually(lambda: doubted(shop), 600)
        await asyncio.sleep(7200)
        assert doubted(shop) == ["foreign_write"]

    in_shop(test)


def test_what_happened_to_a_shown_label_during_a_break_is_found_out() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await shop.outcome(face)
        shop.link.down = True
        shop.fault("drop_ws")
        shop.fault("reboot_tag", TAG)
        await asyncio.sleep(300)
        shop.link.down = False
        await eventually(lambda: shop.taken_back(face), 120)
        assert shop.taken_back(face) == ["tag_rebooted"]

    in_shop(test)


def test_what_a_crash_of_the_access_point_wiped_out_unheard_is_not_believed_in() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await shop.outcome(face)
        await asyncio.sleep(600)  # its database is saved with our image in it
        shop.link.down = True
        shop.fault("drop_ws")
        await asyncio.sleep(10)
        shop.fault("reboot_tag", TAG)  # wipes the glass; the access point hears of it, and forgets
        await asyncio.sleep(60)
        shop.fault("reboot_ap", crash=True)
        await asyncio.sleep(60)
        shop.link.down = False
        await eventually(lambda: shop.taken_back(face), 120)
        assert not shop.shows(face)

    in_shop(test)


def test_health_follows_what_is_heard() -> None:
    async def test(shop: Shop) -> None:
        said = lambda: shop.health[-1][:2]  # noqa: E731 (shorter than a function)
        assert said() == ("online", "ok")
        shop.fault("drop_ws", silent=True)
        await eventually(lambda: said() == ("offline", "ap_silent"), 30)
        await eventually(lambda: said() == ("online", "ok"), 30)
        shop.link.down = True
        shop.fault("drop_ws")
        await eventually(lambda: said() == ("offline", "ap_unreachable"), 30)
        shop.link.down = False
        await eventually(lambda: said() == ("online", "ok"), 60)
        shop.fault("flash_full")
        await eventually(lambda: said() == ("degraded", "flash_low"), 30)
        found = await shop.outcome(await shop.show(1))
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("flash_low", "never_sent")

    in_shop(test)


@pytest.mark.parametrize("manage", [True, False])
def test_a_wrong_clock_is_set_or_told(*, manage: bool) -> None:
    async def test(shop: Shop) -> None:
        shop.fault("clock_wrong", -40_000_000.0)
        await eventually(lambda: "clock_wrong" in [reason for _, reason, _, _ in shop.health], 60)
        await asyncio.sleep(60)
        assert (shop.health[-1][1] == "ok") is manage

    config = ApConfig(macs=(TAG,), types=(SMALL_BWR,), settings=(("nightlyreboot", 0),))
    in_shop(test, config, manage_ap=manage)


def test_settings_are_brought_right_or_told() -> None:
    odd = ApConfig(macs=(TAG,), types=(SMALL_BWR,), settings=(("preview", 0), ("showtimestamp", 1), ("stopsleep", 1)))

    async def managed(shop: Shop) -> None:
        wanted = {"preview": 1, "showtimestamp": 0, "stopsleep": 0, "nightlyreboot": 0}
        await eventually(lambda: {name: shop.ap.box.settings[name] for name in wanted} == wanted, 60)

    async def left_alone(shop: Shop) -> None:
        await eventually(lambda: shop.health[-1][1] == "no_preview", 60)
        assert "manage_ap" in shop.health[-1][3]
        assert ("POST", "/save_apcfg") not in shop.link.requests
        found = await shop.outcome(await shop.show(1))
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("no_preview", "never_sent")

    in_shop(managed, odd, mode="eco")
    in_shop(left_alone, odd, manage_ap=False)


def test_without_preview_the_hash_of_what_waited_can_be_the_proof() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        shown = await shop.outcome(face)
        assert isinstance(shown, LabelShown)
        assert shown.proof == "hash"
        assert shop.shows(face)

    config = ApConfig(macs=(TAG,), types=(SMALL_BWR,), settings=(("preview", 0),))
    in_shop(test, config, manage_ap=False, proof="hash")


def test_eco_mode_lets_labels_sleep_and_still_proves() -> None:
    async def test(shop: Shop) -> None:
        await asyncio.sleep(1800)
        face = await shop.show(1)
        assert isinstance(await shop.outcome(face), LabelShown)
        assert shop.shows(face)

    in_shop(test, mode="eco")


def test_blink_flashes_once_and_names_its_refusals() -> None:
    async def test(shop: Shop) -> None:
        await shop.driver.blink(TAG, 20)
        await eventually(lambda: shop.ap.tags[TAG].leds, 120)
        assert len(shop.ap.tags[TAG].leds) == 1
        with pytest.raises(Rejected, match="not a label"):
            await shop.driver.blink("00000000000000FF", 20)

    in_shop(test)


def test_a_face_after_a_blink_waits_for_it() -> None:
    async def test(shop: Shop) -> None:
        await shop.driver.blink(TAG, 5)
        face = await shop.show(1)
        assert isinstance(await shop.outcome(face), LabelShown)
        assert len(shop.ap.tags[TAG].leds) == 1

    in_shop(test)


def test_check_tells_what_answers_and_changes_nothing() -> None:
    async def main() -> None:
        shop = Shop()
        said = await shop.driver.check()
        assert "1 tags" in said
        assert "nightlyreboot=0" in said
        assert {method for method, _ in shop.link.requests} == {"GET"}
        shop.link.down = True
        with pytest.raises(LinkDown):
            await shop.driver.check()

    run(main)


def test_nothing_is_polled_while_nothing_happens() -> None:
    async def test(shop: Shop) -> None:
        await asyncio.sleep(60)
        before = len(shop.link.requests)
        await asyncio.sleep(6 * 3600)
        assert len(shop.link.requests) - before <= 2 * 6  # settings and list, hourly

    in_shop(test)


@pytest.mark.parametrize("url", ["192.168.1.5", "https://ap", "http://", "http://ap/path"])
def test_a_bad_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        Config(id="ap", driver="label_oepl", url=url)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Config.model_fields.values())
    assert Driver.__doc__
