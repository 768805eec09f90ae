"""Radio and tags: who is served when, what is lost and found again, how long tags sleep."""

import json

SMALL = (0x6E,)
LONG = (0x02,)


def test_one_transfer_at_a_time(shop):
    s = shop(tags=2, types=LONG)
    for mac in s.macs:
        s.upload(3, mac)
    s.run(1.5)
    s.wake_at_phase(0.2, s.macs[0])
    s.run(1)
    s.ap.faults.wake_tag(s.macs[1])
    s.run(8)
    sources = [told["src"] for told in s.told("upload")]
    assert sources == [s.macs[0]] * 8
    s.until(lambda: s.shows(3, s.macs[0]) and s.shows(3, s.macs[1]))


def test_slots_run_out_and_are_tried_again(shop):
    s = shop(tags=3, types=SMALL, slots=2)
    for mac in s.macs:
        s.upload(4, mac)
    s.run(1.5)
    s.wake_at_phase(0.2, s.macs[2])
    s.run(3)
    assert s.macs[2] not in [told["src"] for told in s.told("upload")]
    s.until(lambda: all(s.shows(4, mac) for mac in s.macs), 600)


def test_lost_blocks_are_asked_for_again_and_a_broken_transfer_is_resumed(shop):
    s = shop(types=LONG, loss=0.5, seed=5)
    s.upload(3)
    s.until(lambda: s.shows(3), 4 * 3600)
    blocks = [told["current"] for told in s.told("upload")]
    assert sorted(set(blocks)) == list(range(1, 9))
    assert blocks == sorted(blocks)  # never from the beginning again


def test_a_lost_complete_is_said_again_at_the_next_checkin(shop):
    s = shop(types=SMALL)
    s.ap.faults.lose_xfc(s.mac)
    s.upload(3)
    s.until(lambda: s.shows(3))
    assert s.record()["pending"] == 1
    s.run(120)
    assert s.record()["pending"] == 0
    assert s.record()["updatecount"] == 1
    assert len(s.glass) == 1


def test_a_lost_acknowledgement_counts_once(shop):
    s = shop(types=SMALL)
    s.ap.faults.lose_xfc_ack(s.mac)
    s.upload(3)
    s.until(lambda: s.shows(3))
    assert s.record()["updatecount"] == 1


def test_a_repeated_complete_counts_twice_when_another_tag_speaks_between(shop):
    s = shop(tags=2, types=SMALL)
    s.ap.faults.lose_xfc_ack(s.mac)
    s.upload(3)
    s.upload(4)
    s.run(1.5)
    s.wake_at_phase(0.2)
    s.ap.timeline.after(0.59, s.ap.faults.wake_tag, s.macs[1])  # "complete" at .75, its repeat at .84
    s.until(lambda: s.shows(4))
    assert s.record()["updatecount"] == 2
    told = [frame for frame in s.told("logMsg") if frame.endswith("reports xfer complete\r\n")]
    assert len(told) == 2


def test_complete_while_the_box_is_down_is_never_known(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.upload(2)
    s.run(1.5)
    s.wake_at_phase(0.2)
    s.run(0.3)
    s.ap.faults.reboot_ap(crash=True)
    s.until(lambda: s.shows(2))
    assert s.shows(2)
    s.run(1200)
    assert s.record()["updatecount"] < 2


def test_without_listener_tags_sleep_long_and_with_one_they_do_not(shop):
    def checkins(**config):
        s = shop(types=SMALL, **config)
        seen = set()
        for minute in range(120):
            s.ap.run_until(60.0 * minute)
            seen.add(s.record()["lastseen"])
        return len(seen)

    assert checkins(listen=False) < 20
    assert checkins(listen=True) > 80
    assert checkins(listen=True, settings=(("nightlyreboot", 0), ("stopsleep", 0))) < 20


def test_a_sleeping_tag_gets_nothing_until_its_checkin_is_near_unless_somebody_listens(shop):
    s = shop(types=SMALL, listen=False)
    s.run(1800)
    while s.record()["nextcheckin"] - s.record()["lastseen"] < 500 or s.ap.box.clock() - s.record()["lastseen"] > 60:
        s.run(5)
    s.upload(3)
    s.run(5)
    assert s.record()["pending"] == 0
    s.ap.connect_ws(lambda text: s.frames.append(json.loads(text)))
    s.run(3)
    assert s.record()["pending"] == 1


def test_a_tag_out_of_reach_climbs_down_the_ladder_and_comes_back_with_a_scan(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.ap.faults.silence_tag(s.mac)
    s.run(3 * 3600)
    last = s.record()["lastseen"]
    s.ap.faults.silence_tag(s.mac, silent=False)
    s.run(3700)
    assert s.record()["lastseen"] > last
    assert 0xFD in [tags[0]["wakeupReason"] for tags in s.told("tags")]
    assert s.shows(1)


def test_quiet_hours_hold_pictures_back(shop):
    s = shop(
        types=SMALL, epoch_s=1_795_050_000.0, settings=(("nightlyreboot", 0), ("sleeptime1", 1), ("sleeptime2", 2))
    )
    assert s.upload(1).status == 200  # 01:00
    s.run(50 * 60)
    assert not s.glass
    s.run(30 * 60)
    assert s.shows(1)


def test_full_flash_holds_pictures_back(shop):
    s = shop(types=SMALL)
    s.ap.faults.flash_full()
    s.upload(1)
    s.run(300)
    assert not s.glass
    s.ap.faults.flash_full(False)
    s.until(lambda: s.shows(1))


def test_radio_reset_marks_waiting_tags_but_their_source_is_gone(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.upload(2)
    s.run(1.5)
    s.ap.faults.radio_reset()
    s.run(3)
    assert any(told.startswith("Not found") for told in s.told("errMsg"))
    s.until(lambda: s.shows(2))  # the queue had it still: announced again at the check-in


def test_deep_sleep_is_delivered_once_and_ends_with_a_button(shop):
    s = shop(types=SMALL)
    s.command("deepsleep")
    s.run(100)
    assert s.record()["nextcheckin"] == 3216153600
    last = s.record()["lastseen"]
    s.run(7200)
    assert s.record()["lastseen"] == last
    s.ap.faults.wake_tag(s.mac, 4)
    s.run(100)
    assert 4 in [tags[0]["wakeupReason"] for tags in s.told("tags")]
    assert s.record()["nextcheckin"] < 3216153600


def test_battery_and_capabilities_are_reported(shop):
    s = shop(types=SMALL)
    s.ap.faults.battery(s.mac, 2310)
    s.run(61)
    assert s.record()["batteryMv"] == 2310
    assert s.record()["capabilities"] & 1
    s.run(120)
    assert any(told.get("lowbattcount") == 1 for told in s.told("sys"))


def test_duplicate_mac_shows_what_each_access_point_sent(shop):
    one = shop(types=SMALL)
    two = shop(types=SMALL, tags=0, seed=2, beside=one)
    one.ap.faults.duplicate_mac(one.mac, two.ap)
    two.mac = one.mac
    one.run(30)
    two.upload(2)
    one.run(300)
    assert two.shows(2)
    assert not one.shows(2)


def test_same_seed_same_life_other_seed_another(shop):
    def life(seed):
        s = shop(tags=5, seed=seed, loss=0.1, macs=tuple(f"{number:016X}" for number in range(5)))
        for number, mac in enumerate(s.macs):
            s.upload(number, mac)
            s.run(7)
        s.ap.faults.reboot_tag(s.macs[2])
        s.run(3600)
        return s.frames, s.glass

    assert life(3) == life(3)
    assert life(3) != life(4)


def test_macs_come_from_the_seed_and_are_well_formed(shop):
    first, again, other = (shop(tags=20, seed=seed).macs for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 20
    assert all(len(mac) == 16 and mac == mac.upper() and int(mac, 16) for mac in first)


def test_idle_hours_are_cheap(shop):
    """No polling: an hour without anybody listening is some dozen events a tag."""
    s = shop(tags=20, listen=False)
    count = 0
    while s.ap.next_event_at() <= 3600:
        s.ap.run_until(s.ap.next_event_at())
        count += 1
    assert count < 20 * 30


def test_a_second_item_follows_five_seconds_after_the_first(shop):
    s = shop(types=SMALL)
    s.upload(1)
    s.run(1.5)
    s.upload(2)
    s.run(1.5)
    s.until(lambda: s.record()["updatecount"] == 1)
    first_s = s.ap.now
    s.until(lambda: s.record()["updatecount"] == 2)
    assert 5 < s.ap.now - first_s < 25  # drawing, then the five seconds that it was told


def test_a_watchdog_reset_forgets_which_picture_it_holds(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.ap.faults.reboot_tag(s.mac, watchdog=True)
    s.run(10)
    s.frames.clear()
    s.upload(1)
    s.until(lambda: s.record()["updatecount"] == 2)
    assert s.told("upload")  # downloaded anew


def test_pictures_that_wait_die_with_the_box(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.upload(2)
    s.run(1.5)
    s.upload(3)
    names = set(s.ap.box.files)
    assert {name.rpartition(".")[2] for name in names} == {"raw", "pending", "jpg"}
    s.ap.faults.reboot_ap(crash=True)
    assert set(s.ap.box.files) == {f"/current/{s.mac}.raw"}


def test_a_boot_while_something_is_pending_keeps_the_hash(shop):
    s = shop(types=SMALL)
    s.put(1)
    known = s.record()["hash"]
    s.upload(2)
    s.run(1.5)
    s.ap.faults.silence_tag(s.mac)
    s.ap.faults.reboot_tag(s.mac)
    s.ap.faults.silence_tag(s.mac, silent=False)
    s.until(lambda: 0xFC in [tags[0]["wakeupReason"] for tags in s.told("tags")])
    assert s.record()["hash"] == known
    s.until(lambda: s.shows(2))


def test_weak_tags_lose_more(shop):
    def shown_of_twelve(rssi):
        s = shop(types=LONG, loss=0.4, seed=6)
        s.ap.tags[s.mac].rssi = rssi
        shown = 0
        for number in range(12):
            s.upload(number)
            s.run(600)
            shown += s.shows(number)
        return shown

    assert shown_of_twelve(-40) > shown_of_twelve(-130)
