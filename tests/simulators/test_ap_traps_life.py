"""The traps of a life with reboots, silence, commands and neighbours (T4 to T13), each by its number."""

import json

SMALL = (0x6E,)  # 296x128, zlib: one block


def test_t4_a_reboot_forgets_the_queue_and_the_source(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.upload(2)
    s.run(1.5)
    s.ap.faults.reboot_ap()
    assert s.told("errMsg")[-1] == "REBOOTING"
    assert s.get("/sysinfo").fate == "refused"
    s.run(10)
    s.ap.connect_ws(lambda text: s.frames.append(json.loads(text)))
    assert s.upload(3).status == 409
    assert s.record()["pending"] == 0
    s.run(600)
    assert s.shows(1)
    assert any(told.startswith("Not found: /temp/") for told in s.told("errMsg"))
    assert [told["uptime"] for told in s.told("sys") if told["uptime"] < 20]


def test_t4_a_crash_loses_five_minutes_of_the_database(shop):
    s = shop(types=SMALL, seed=4)
    s.run(301)
    s.put(1)
    known = s.record()["hash"]
    s.ap.faults.reboot_ap(crash=True)
    s.run(60)
    assert s.record()["hash"] == "0" * 32 != known
    assert s.shows(1)
    s = shop(types=SMALL, seed=4)
    s.put(1)
    s.run(301)
    s.ap.faults.reboot_ap(crash=True)
    s.run(60)
    assert s.record()["hash"] == known


def test_t4_nightly_reboot_is_on_by_default(shop):
    s = shop(settings=(), epoch_s=1_795_046_400.0)  # midnight
    s.run((3 * 60 + 55) * 60)
    assert not s.told("errMsg")
    s.run(62)
    assert s.told("errMsg") == ["REBOOTING"]
    s.run(60)
    assert s.get("/sysinfo").status == 200
    quiet = shop(epoch_s=1_795_046_400.0)
    quiet.run(5 * 3600)
    assert not quiet.told("errMsg")


def test_t5_a_tag_that_boots_loses_its_hash_and_is_never_served_again(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.ap.faults.reboot_tag(s.mac)
    s.run(10)
    reasons = [tags[0]["wakeupReason"] for tags in s.told("tags")]
    assert 0xFC in reasons
    assert s.record()["hash"] == "0" * 32
    assert any(told.startswith("Not found: /temp/") for told in s.told("errMsg"))
    s.run(3600)
    assert s.ap.truth()["tags"][s.mac]["digest"] is None
    assert s.record()["pending"] == 0


def test_t5_a_watchdog_reset_keeps_the_glass(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.ap.faults.reboot_tag(s.mac, watchdog=True)
    s.run(100)
    assert s.record()["hash"] == "0" * 32
    assert s.shows(1)


def test_t6_twenty_minutes_of_silence_drop_the_queue(shop):
    s = shop(types=SMALL)
    s.put(1)
    known = s.record()["hash"]
    s.ap.faults.silence_tag(s.mac)
    s.upload(2)
    s.run(18 * 60)
    assert not s.told("errMsg")
    s.run(3 * 60)
    assert s.told("errMsg") == [f"< {s.mac} xfer timeout\r\n"]
    assert s.get(f"/getdata?mac={s.mac}").status == 404
    s.ap.faults.silence_tag(s.mac, silent=False)
    s.run(4000)
    assert s.shows(1)
    assert s.record()["hash"] == known


def test_t6_the_record_goes_on_saying_pending(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.ap.faults.silence_tag(s.mac)
    s.upload(2)
    s.run(22 * 60)
    assert s.record()["pending"] == 1  # the firmware does not count anew
    s.command("clear")
    assert s.record()["pending"] == 0


def test_t7_a_command_overwrites_hash_and_count(shop):
    s = shop(types=SMALL)
    s.put(1)
    before = s.record()
    answer = s.get(f"/led_flash?mac={s.mac}&pattern=11e433320000000000003c00")
    assert (answer.status, answer.body) == (200, b"ok, request transmitted")
    assert s.record()["pending"] == 1
    s.until(lambda: s.record()["pending"] == 0)
    after = s.record()
    assert after["hash"] == "11e4333200000000" + "0" * 16
    assert after["updatecount"] == before["updatecount"] + 1
    assert s.ap.tags[s.mac].leds[0][1].hex() == "11e433320000000000003c00"
    assert s.shows(1)


def test_t8_the_pages_never_end_beyond_255_tags(shop):
    s = shop(tags=300, listen=False)
    seen, start = [], 0
    for _ in range(400):
        page = json.loads(s.get(f"/get_db?pos={start}").body)
        seen.append(start)
        start = page.get("continu", 0)
        if not start:
            break
    assert len(seen) == 400
    assert len(set(seen)) < 400
    straight = shop(tags=300, listen=False, paging_wraps=False)
    start, count = 0, 0
    while True:
        page = json.loads(straight.get(f"/get_db?pos={start}").body)
        count += len(page["tags"])
        start = page.get("continu", 0)
        if not start:
            break
    assert count == 300


def test_t9_complete_comes_before_the_glass_changes(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.upload(2)
    s.until(lambda: s.record()["updatecount"] == 2)
    assert s.shows(1)
    s.run(5)
    assert s.shows(1)
    s.ap.faults.reboot_tag(s.mac, watchdog=True)  # interrupts the drawing
    s.run(60)
    assert s.shows(1)
    assert not s.shows(2)


def test_t10_200_proves_nothing(shop):
    s = shop(types=SMALL)
    for answer in (
        s.send_jpeg(b"not a picture"),
        s.send_jpeg(b"", "0000FFFFFFFFFFFF"),
        s.post("/imgupload", mac=s.mac),
    ):
        assert (answer.status, answer.body) == (200, b"")
    s.run(5)
    assert "invalid jpg" in s.told("errMsg")
    assert s.record()["pending"] == 0


def test_t10_a_picture_of_the_wrong_size_is_drawn_as_garbage(shop):
    from PIL import Image

    jpeg = shop.jpeg

    s = shop(types=(0x01,))
    s.put(1)
    s.send_jpeg(jpeg(Image.new("RGB", (200, 100), (255, 0, 0))))
    s.until(lambda: not s.shows(1))
    shown = s.glass[-1][1]
    assert len(shown) == 296 * 128
    assert set(shown) > {2}


def test_t11_overlay_rotation_and_inversion_change_pixels(shop):
    for setting, fields in (((("showtimestamp", 1),), {}), ((), {"rotate": "2"}), ((), {"invert": "1"})):
        s = shop(types=SMALL, settings=(("nightlyreboot", 0), *setting))
        s.upload(5, **fields)
        s.run(200)
        assert s.glass
        assert not s.shows(5)


def test_t11_rotation_stays_with_the_tag(shop):
    s = shop(types=SMALL)
    s.upload(5, rotate="2")
    s.run(200)
    assert s.record()["rotate"] == 2
    s.upload(6)
    s.run(200)
    assert not s.shows(6)


def test_t12_another_access_point_takes_a_tag_over(shop):
    one = shop(types=SMALL, tags=1)
    two = shop(types=SMALL, tags=0, seed=2, beside=one, ip="127.0.0.2")
    one.put(1)
    one.ap.faults.roam(one.mac, two.ap)
    one.run(120)
    record = one.record()
    assert (record["isexternal"], record["apip"]) == (True, "127.0.0.2")
    assert f"moved AP from local to external {one.mac}" in one.told("logMsg")
    two.mac = one.mac
    assert two.record()["isexternal"] is False
    two.upload(2)
    one.run(200)
    assert two.shows(2)
    assert one.record()["contentMode"] == 12
    assert any("takes control over" in told for told in one.told("logMsg"))


def test_t12_an_upload_to_the_old_access_point_reaches_the_tag_through_the_new(shop):
    one = shop(types=SMALL, tags=1)
    two = shop(types=SMALL, tags=0, seed=2, beside=one)
    one.ap.faults.roam(one.mac, two.ap)
    one.run(60)
    one.send_jpeg(shop.jpeg(shop.picture(two.kind(one.mac), 3)))
    one.run(200)
    assert two.shows(3, one.mac)
    assert one.record()["pending"] == 0


def test_t13_foreign_tags_come_in_unless_locked(shop):
    foreign = "0000AABBCCDDEEFF"
    for lock, admitted in ((0, True), (1, False), (2, True)):
        s = shop(settings=(("nightlyreboot", 0), ("lock", lock)))
        s.ap.faults.foreign_tag(foreign)
        s.run(60)
        assert bool(json.loads(s.get(f"/get_db?mac={foreign}").body)["tags"]) is admitted
    s.command("del", foreign)
    s.run(600)
    assert not json.loads(s.get(f"/get_db?mac={foreign}").body)["tags"]  # lock 2: only fresh boots
