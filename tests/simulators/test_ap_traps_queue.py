"""The traps of queue and radio (T1 to T3c), each by its number: the driver is built against them."""

import hashlib

SMALL = (0x6E,)  # 296x128, zlib: one block
LONG = (0x02,)  # 400x300 raw: eight blocks, four seconds


def version_of(shop, number, mac=""):
    """The name that the access point gives to this picture: taken from another access point of the same kind."""
    other = type(shop)(tags=1, seed=99, types=(shop.kind(mac).number,))
    other.put(number)
    return other.record()["hash"]


def test_plain_upload_is_shown_and_read_back(shop):
    s = shop(types=LONG)
    s.upload(7)
    s.until(lambda: s.shows(7))
    record = s.record()
    raw = s.get(f"/current/{s.mac}.raw?nonce").body
    assert record["pending"] == 0
    assert record["updatecount"] == 1
    assert record["hash"] == hashlib.md5(raw).hexdigest()[:16] + "0" * 16
    assert [told["current"] for told in s.told("upload")] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert {told["total"] for told in s.told("upload")} == {8}


def test_t1_revert_is_dropped_as_same_and_the_queued_one_is_shown(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.upload(2)
    s.run(2)
    s.upload(1)
    s.run(2)
    assert "new image is the same as current image. not updating tag." in s.told("logMsg")
    assert s.record()["pending"] == 1
    s.run(200)
    assert s.shows(2)


def test_t2_the_queue_replaces_nothing(shop):
    s = shop(types=SMALL)
    s.run(120)
    s.upload(1)
    s.run(1.5)
    s.upload(2)
    s.run(1.5)
    assert s.record()["pending"] == 2
    s.until(lambda: s.shows(2))
    assert [shown for _, shown, _ in s.glass] == [s.glass[0][1], s.glass[1][1]]
    assert len(s.glass) == 2


def test_t2_two_uploads_before_the_runner_looks_become_one(shop):
    s = shop(types=SMALL)
    s.upload(1)
    s.upload(2)
    s.until(lambda: s.shows(2))
    assert len(s.glass) == 1


def test_t3_clear_leaves_the_slot_and_a_tag_that_knows_the_picture_draws_it(shop):
    s = shop(types=SMALL, caching=True)
    s.put(1)
    s.put(2)
    before = s.record()
    s.upload(1)
    s.run(1.5)
    assert s.record()["pending"] == 1
    s.command("clear")
    assert s.record()["pending"] == 0
    s.until(lambda: s.shows(1))
    after = s.record()
    assert after["updatecount"] == before["updatecount"] + 1
    assert after["hash"] not in (before["hash"], version_of(s, 1))


def test_t3_only_a_new_push_overwrites_the_slot(shop):
    s = shop(types=SMALL, caching=True)
    s.put(1)
    s.put(2)
    s.upload(1)
    s.run(1.5)
    s.command("clear")
    s.upload(3)
    s.run(1.5)
    s.until(lambda: s.shows(3))
    assert [shown for _, shown, _ in s.glass].count(s.glass[0][1]) == 1


def test_t3b_a_late_block_request_drops_the_new_picture_too(shop):
    s = shop(types=LONG)
    s.put(1)
    s.upload(2)
    s.run(1.5)
    s.wake_at_phase(0.3)
    s.run(0.6)
    assert s.told("upload")[-1]["current"] < 8
    s.command("clear")
    s.upload(3)
    s.run(1.0)
    s.run(2.0)
    assert s.record()["pending"] == 0
    s.run(600)
    assert s.shows(1)
    assert s.record()["hash"] == version_of(s, 1)


def test_t3c_the_acknowledgement_is_credited_to_what_was_queued_meanwhile(shop):
    s = shop(types=SMALL)
    s.put(1)
    s.upload(2)
    s.run(1.5)
    s.wake_at_phase(0.7)  # its one block is asked for at .75, complete at .25 of the next second
    s.run(0.1)
    s.command("clear")
    s.upload(3)
    s.until(lambda: s.shows(2))
    assert s.record()["hash"] == version_of(s, 3)
    assert s.record()["pending"] == 0
    s.run(600)
    assert s.shows(2)
