"""The traps of the access point by name, each against the simulator in virtual time, judged by what the glass shows.

T1-T13 are the ways in which this access point shows a wrong price or says a wrong thing (numbers of our field notes).
"""

import asyncio
import math
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drivers.label_oepl import Driver
from drivers.simulators.access_point import AccessPoint, ApConfig
from gateway.driver import Face
from gateway.errors import Rejected
from gateway.messages import LabelFailed, LabelShown
from tests.drivers.oepl_shop import OTHER, SMALL_BWR, TAG, Shop, open_shop
from tests.virtual_time import InProcessLink, eventually, run

ZLIB_TYPE = 0x34  # the access point packs its images
NORM_BWR = 0x01  # 296x128: three blocks raw
ONE_BIG = ApConfig(macs=(TAG,), types=(NORM_BWR,), tag_version=0x20)  # a firmware without compression


def in_shop(test: Callable[[Shop], Awaitable[None]], config: ApConfig | None = None, **settings: Any) -> None:
    """Run a test in virtual time in a shop; no older face may ever be drawn after a newer one was proven."""

    async def main() -> None:
        async with open_shop(config, **settings) as shop:
            await test(shop)
            assert shop.late == []

    run(main)


def queued(shop: Shop) -> int:
    return len(shop.ap.box.queued(TAG))


async def waiting(shop: Shop) -> None:
    """Wait until an image is queued for the tag."""
    await eventually(lambda: queued(shop) == 1, 60)


async def first_shown(shop: Shop) -> Face:
    face = await shop.show(1)
    assert isinstance(await shop.outcome(face), LabelShown)
    assert shop.shows(face)
    return face


async def just_before_queueing(shop: Shop, act: Callable[[], None]) -> None:
    """Act a moment before the access point turns the upload that it just took into a queued image."""
    uploads = shop.link.requests.count(("POST", "/imgupload"))
    await eventually(lambda: shop.link.requests.count(("POST", "/imgupload")) > uploads, 60)
    await asyncio.sleep(math.floor(asyncio.get_running_loop().time()) + 1 - 0.02 - asyncio.get_running_loop().time())
    act()


def test_t1_back_to_the_old_price_while_the_new_one_waits() -> None:
    async def test(shop: Shop) -> None:
        first = await first_shown(shop)
        changed = await shop.show(2)
        await waiting(shop)
        back = await shop.show(3)
        assert isinstance(await shop.outcome(back), LabelShown)
        assert shop.shows(back)
        assert shop.taken_back(first) == []  # it gave way to a newer wish, which is no loss of proof
        assert [(m.reason, m.outcome) for m in shop.terminal(changed) if isinstance(m, LabelFailed)] == [
            ("superseded", "unsettled")
        ]

    in_shop(test)


def test_t1_without_a_new_mark_the_drop_is_noticed() -> None:
    async def test(shop: Shop) -> None:
        await first_shown(shop)
        again = await shop.show(2, like=1)
        found = await shop.outcome(again)
        assert isinstance(found, LabelFailed)
        assert found.reason == "same_image"

    in_shop(test)


def test_t2_at_most_one_image_of_ours_is_queued() -> None:
    async def test(shop: Shop) -> None:
        for revision in range(1, 6):
            last = await shop.show(revision)
            await asyncio.sleep(2.5)
            assert queued(shop) <= 1
        assert isinstance(await shop.outcome(last), LabelShown)
        assert shop.shows(last)

    in_shop(test)


def test_t3_a_cleared_image_that_the_tag_knows_is_not_taken_for_ours() -> None:
    """The radio still announces the old image; the tag has it, draws it and reports it complete: nothing was queued."""

    async def test(shop: Shop) -> None:
        shop.fault("lose_xfc", TAG)
        old = await shop.show(1)
        await eventually(lambda: shop.shows(old))
        new = await shop.show(2)
        await eventually(lambda: ("POST", "/imgupload") in shop.link.requests and queued(shop) == 0, 60)
        shop.fault("wake_tag", TAG)
        assert isinstance(await shop.outcome(new), LabelShown | LabelFailed)
        face = await shop.converge(3)
        assert shop.shows(face)

    in_shop(test)


def test_t3b_a_late_request_for_the_old_image_drops_the_new_one() -> None:
    async def test(shop: Shop) -> None:
        await first_shown(shop)
        await shop.show(2)
        await waiting(shop)
        new = await shop.show(3)
        await just_before_queueing(shop, lambda: shop.fault("wake_tag", TAG))
        found = await shop.outcome(new)
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("dropped", "unsettled")
        assert shop.shows(await shop.converge(4))

    in_shop(test)


def test_t3c_the_old_image_complete_is_credited_to_the_new_one() -> None:
    async def test(shop: Shop) -> None:
        shop.fault("lose_xfc", TAG)
        old = await shop.show(1)
        await eventually(lambda: shop.shows(old))
        new = await shop.show(2)
        await just_before_queueing(shop, lambda: shop.fault("wake_tag", TAG))
        found = await shop.outcome(new)
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("weak_trace", "unsettled")
        assert shop.shows(old)
        assert shop.shows(await shop.converge(3))

    in_shop(test)


def test_t3c_a_running_transfer_is_waited_out_before_replacing() -> None:
    async def test(shop: Shop) -> None:
        loop, heard = asyncio.get_running_loop(), []
        shop.ap.connect_ws(lambda text: heard.append(loop.time()) if "block request" in text else None)
        await shop.show(1)
        await eventually(lambda: heard)
        asked = len(shop.link.requests)
        new = await shop.show(2)
        await eventually(lambda: ("POST", "/tag_cmd") in shop.link.requests[asked:], 60)
        assert len(heard) == 3
        assert loop.time() - heard[-1] >= 5.0
        assert isinstance(await shop.outcome(new), LabelShown)

    in_shop(test, ONE_BIG)


@pytest.mark.parametrize("crash", [False, True])
def test_t4_a_restart_of_the_access_point_forgets_the_queue(*, crash: bool) -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await waiting(shop)
        shop.fault("reboot_ap", crash=crash)
        found = await shop.outcome(face)
        assert isinstance(found, LabelFailed)
        assert found.reason in ("ap_rebooted", "stream_lost")
        assert found.outcome == "unsettled"
        assert shop.shows(await shop.converge(2))

    in_shop(test)


def test_t4_the_nightly_restart_is_switched_off() -> None:
    async def test(shop: Shop) -> None:
        await eventually(lambda: shop.ap.box.settings["nightlyreboot"] == 0, 60)

    in_shop(test)


@pytest.mark.parametrize("watchdog", [False, True])
def test_t5_a_restarted_tag_takes_the_proof_back(*, watchdog: bool) -> None:
    async def test(shop: Shop) -> None:
        face = await first_shown(shop)
        shop.fault("reboot_tag", TAG, watchdog=watchdog)
        await eventually(lambda: shop.taken_back(face), 120)
        assert shop.taken_back(face) == ["tag_rebooted"]
        assert shop.shows(await shop.converge(2))
        await asyncio.sleep(3600)
        assert shop.taken_back(face) == ["tag_rebooted"]  # once

    in_shop(test)


def test_t6_a_tag_out_of_reach_times_out_and_is_pushed_anew() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await waiting(shop)
        shop.fault("silence_tag", TAG)
        found = await shop.outcome(face)
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("transfer_timeout", "unsettled")
        shop.fault("silence_tag", TAG, silent=False)
        assert shop.shows(await shop.converge(2))

    in_shop(test)


def test_t7_no_command_while_an_image_is_on_its_way() -> None:
    async def test(shop: Shop) -> None:
        await shop.show(1)
        with pytest.raises(Rejected, match="on its way"):
            await shop.driver.blink(TAG, 10)
        await waiting(shop)
        with pytest.raises(Rejected, match="on its way"):
            await shop.driver.blink(TAG, 10)

    in_shop(test)


def test_t7_a_command_of_ours_does_not_look_like_a_foreign_image() -> None:
    async def test(shop: Shop) -> None:
        face = await first_shown(shop)
        await shop.driver.blink(TAG, 10)
        await eventually(lambda: shop.ap.tags[TAG].leds, 120)
        await asyncio.sleep(600)
        assert shop.taken_back(face) == []
        shop.fault("foreign_upload", TAG)  # it is still watched
        await eventually(lambda: shop.taken_back(face), 300)

    in_shop(test)


def test_t7_somebody_elses_command_is_not_taken_for_our_image() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await waiting(shop)
        await shop.link.request(
            "POST",
            "/tag_cmd",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=f"mac={TAG}&cmd=ledflash".encode(),
            deadline_s=5,
        )
        found = await shop.outcome(face)
        assert isinstance(found, LabelFailed) or shop.shows(face)
        assert shop.shows(await shop.converge(2))

    in_shop(test)


def test_t8_a_list_that_never_ends_is_ended() -> None:
    async def test(shop: Shop) -> None:
        await eventually(lambda: shop.health[-1][1] == "too_many_tags", 120)
        assert shop.link.requests.count(("GET", "/get_db?pos=0")) == 1
        face = await shop.converge(1, next(iter(shop.ap.tags)))
        assert shop.shows(face)

    async def main() -> None:
        shop = Shop(ApConfig(tags=280, types=(SMALL_BWR,)))
        shop.start()
        await eventually(lambda: len(shop.seen()) > 250, 120)
        await test(shop)
        await shop.stop()

    run(main)


def test_t9_stored_is_not_shown() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: shop.stored(face))
        assert not shop.shows(face)
        assert shop.terminal(face) == []
        assert isinstance(await shop.outcome(face), LabelShown)
        assert shop.shows(face)

    in_shop(test)


def test_t9_a_tag_that_restarts_while_drawing_is_not_believed() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: shop.stored(face))
        shop.fault("reboot_tag", TAG, watchdog=True)
        found = await shop.outcome(face)
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("tag_rebooted", "unsettled")
        assert not shop.shows(face)

    in_shop(test)


def test_t10_a_wrong_size_never_leaves_us() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1, width=104, height=212)
        found = await shop.outcome(face)
        assert isinstance(found, LabelFailed)
        assert found.outcome == "never_sent"
        assert found.reason.startswith("wrong_size: 104x212")
        assert ("POST", "/imgupload") not in shop.link.requests

    in_shop(test)


def test_t10_a_refused_upload_is_settled() -> None:
    async def test(shop: Shop) -> None:
        shop.fault("busy_409", 30)
        found = await shop.outcome(await shop.show(1))
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("upload_refused: 409", "settled")

    in_shop(test)


def test_t10_an_upload_without_an_answer_is_believed_by_its_echo() -> None:
    async def test(shop: Shop) -> None:
        face = await shop.show(1)
        await eventually(lambda: ("GET", f"/get_db?mac={TAG}") in shop.link.requests, 60)
        shop.fault("http_timeout_next", 1)
        assert isinstance(await shop.outcome(face), LabelShown)
        assert shop.link.requests.count(("POST", "/imgupload")) == 1
        assert shop.shows(face)

    in_shop(test)


def test_t10_an_upload_that_arrives_after_we_gave_it_up() -> None:
    async def test(shop: Shop) -> None:
        shop.link.late_upload_s = 25.0
        found = await shop.outcome(await shop.show(1))
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("no_echo", "unsettled")
        shop.link.late_upload_s = 0.0
        face = await shop.show(2)
        assert isinstance(await shop.outcome(face), LabelShown)
        await asyncio.sleep(600)
        assert shop.shows(face)
        assert shop.taken_back(face) == []

    in_shop(test)


def test_t11_rotation_and_inversion_left_behind_do_no_harm() -> None:
    async def test(shop: Shop) -> None:
        record = shop.ap.box.records[TAG]
        record.rotate, record.invert = 1, 1
        await first_shown(shop)
        assert '"dither":"0"' in record.modecfgjson
        assert '"timetolive":"0"' in record.modecfgjson  # it would send the tag to sleep for so many minutes

    in_shop(test)


def test_t11_a_time_stamp_over_the_face_is_seen_in_the_pixels() -> None:
    async def test(shop: Shop) -> None:
        found = await shop.outcome(await shop.show(1))
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("other_pixels", "unsettled")
        assert "timestamp_overlay" in [reason for _, reason, _, _ in shop.health]

    in_shop(test, ApConfig(macs=(TAG,), types=(SMALL_BWR,), settings=(("showtimestamp", 1),)), manage_ap=False)


def test_the_file_read_back_must_be_the_one_that_the_tag_took() -> None:
    """The same pixels in another encoding, as an old cached answer could be, are no proof."""

    class Recoded(InProcessLink):
        async def request(self, method: str, path: str, **rest: Any) -> tuple[int, bytes]:
            status, body = await super().request(method, path, **rest)
            if path.startswith("/current/"):
                body = body[:4] + zlib.compress(zlib.decompress(body[4:]), 1)
            return status, body

    async def test(shop: Shop) -> None:
        await shop.stop()
        shop.driver = Driver(shop.driver._config, shop.driver._services, Recoded(shop.ap, shop.air))
        shop.start()
        found = await shop.outcome(await shop.show(1))
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("other_image", "unsettled")

    in_shop(test, ApConfig(macs=(TAG,), types=(ZLIB_TYPE,)))


def test_a_label_in_deep_sleep_is_not_sent_to() -> None:
    async def test(shop: Shop) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = f"mac={TAG}&cmd=deepsleep".encode()
        await shop.link.request("POST", "/tag_cmd", headers=form, body=body, deadline_s=5)
        await eventually(lambda: shop.ap.tags[TAG].deep_sleep, 120)
        found = await shop.outcome(await shop.show(1))
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("label_asleep", "never_sent")

    in_shop(test)


def test_t12_a_tag_that_another_access_point_took_over() -> None:
    async def test(shop: Shop) -> None:
        face = await first_shown(shop)
        other = AccessPoint(ApConfig(macs=(OTHER,), types=(SMALL_BWR,), seed=1), timeline=shop.ap.timeline)
        shop.fault("roam", TAG, other)
        await eventually(lambda: shop.taken_back(face), 120)
        found = await shop.outcome(await shop.show(2))
        assert isinstance(found, LabelFailed)
        assert (found.reason, found.outcome) == ("other_access_point", "never_sent")

    in_shop(test)


def test_t13_with_a_lock_no_foreign_tag_is_taken_on() -> None:
    async def test(shop: Shop) -> None:
        await eventually(lambda: shop.ap.box.settings["lock"] == 1, 60)
        shop.fault("foreign_tag", OTHER)
        await asyncio.sleep(300)
        assert OTHER not in shop.seen()

    in_shop(test, lock=1)


def test_without_a_lock_a_new_tag_is_found() -> None:
    async def test(shop: Shop) -> None:
        shop.fault("foreign_tag", OTHER)
        await eventually(lambda: OTHER in shop.seen(), 120)

    in_shop(test)
