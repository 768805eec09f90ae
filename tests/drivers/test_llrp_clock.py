"""The reader's time on our clock: skew, drift, jumps, bursts, no UTC; and what becomes of a tag's values."""

from drivers._llrp_clock import WINDOW_US, ReaderClock
from drivers._llrp_reports import TagSeen

S = 1_000_000
NOW = 1_795_000_000 * S
EPC = bytes.fromhex("3074257BF7194E4000001A85")


def seen(at_us: int, **values: object) -> TagSeen:
    return TagSeen(epc=EPC, last_utc_us=at_us)._replace(**values)


def greeted(skew_s: int) -> ReaderClock:
    """A reader whose clock is ahead of ours by `skew_s`."""
    clock = ReaderClock()
    clock.greeted(NOW + skew_s * S, None, NOW)
    return clock


def test_a_wrong_clock_is_made_right() -> None:
    for skew_s in (-86_400 * 365 * 50, -3, 0, 7, 86_400):
        (read,) = greeted(skew_s).reads([seen(NOW + (skew_s + 5) * S)], NOW + 5 * S + 20_000)
        assert read.at_us == NOW + 5 * S
    assert greeted(7).offset_s == -7


def test_a_burst_of_old_reads_keeps_its_time() -> None:
    clock = greeted(100)
    old = [seen(NOW + (100 - ago) * S) for ago in (60, 30, 1)]
    assert [read.at_us for read in clock.reads(old, NOW + S)] == [NOW - ago * S for ago in (60, 30, 1)]
    clock = greeted(100)
    one_by_one = [clock.reads([tag], NOW + S)[0].at_us for tag in old]
    assert one_by_one == [NOW - ago * S for ago in (60, 30, 1)]


def test_reads_kept_back_by_a_slow_disk_keep_their_time() -> None:
    clock = greeted(0)
    late = NOW + 3 * WINDOW_US
    for number in range(100):
        (read,) = clock.reads([seen(NOW + number * S)], late + number)
        assert read.at_us == NOW + number * S


def test_without_a_greeting_the_newest_read_is_now() -> None:
    reads = ReaderClock().reads([seen(50 * S), seen(53 * S)], NOW)
    assert [read.at_us for read in reads] == [NOW - 3 * S, NOW]


def test_a_drifting_clock_is_followed_both_ways() -> None:
    for ppm in (-200, 200):
        clock, at_us, worst = greeted(0), NOW, 0
        for _ in range(3_000):
            at_us += 2 * S
            told = NOW + (at_us - NOW) * (1_000_000 + ppm) // 1_000_000
            worst = max(worst, abs(clock.reads([seen(told)], at_us)[0].at_us - at_us))
        assert worst < 0.15 * S  # twice five minutes of it


def test_a_clock_that_jumps_is_followed() -> None:
    for jump_s in (3_600, -3_600):
        clock = greeted(0)
        clock.reads([seen(NOW)], NOW)
        after = [clock.reads([seen(NOW + (jump_s + n) * S)], NOW + n * S)[0].at_us for n in (1, 2, 3)]
        assert after == [NOW + n * S for n in (1, 2, 3)]


def test_one_mad_stamp_spoils_nothing_and_nothing_is_in_the_future() -> None:
    clock = greeted(0)
    (mad,) = clock.reads([seen(2**63)], NOW + S)
    (sane,) = clock.reads([seen(NOW + 2 * S)], NOW + 2 * S + 5)
    assert (mad.at_us, sane.at_us) == (NOW + S, NOW + 2 * S)


def test_uptime_counts_where_there_is_no_utc() -> None:
    clock = ReaderClock()
    clock.greeted(None, 500 * S, NOW)
    told = TagSeen(epc=EPC, last_uptime_us=501 * S)
    assert clock.reads([told], NOW + 3 * S)[0].at_us == NOW + S
    assert clock.reads([TagSeen(epc=EPC, first_uptime_us=502 * S)], NOW + 3 * S)[0].at_us == NOW + 2 * S
    assert clock.instant_us(None, 500 * S, NOW + 3 * S) == NOW
    assert clock.offset_s is None


def test_without_any_time_the_arrival_counts() -> None:
    clock = greeted(50)
    assert [read.at_us for read in clock.reads([TagSeen(epc=EPC)] * 2, NOW + S)] == [NOW + S] * 2
    assert clock.reads([], NOW) == []


def test_values() -> None:
    clock = greeted(0)
    (read,) = clock.reads([seen(NOW, antenna=2, rssi_dbm=-50, rssi_cdbm=-5012, seen=3, phase=4095)], NOW)
    assert read == ("3074257BF7194E4000001A85", 2, NOW, -5012, 3, 4095)
    (read,) = clock.reads([seen(NOW, rssi_dbm=-50, zebra_phase=-32768)], NOW)
    assert read[1:] == (0, NOW, -5000, 1, 2048)


def test_what_is_weak_or_no_epc_is_left_out() -> None:
    clock = greeted(0)
    tags = [
        seen(NOW, rssi_cdbm=-7001),
        seen(NOW, rssi_dbm=-70),
        seen(NOW),
        seen(NOW, epc=b""),
        seen(NOW, epc=b"x" * 63),
    ]
    assert [read.rssi_cdbm for read in clock.reads(tags, NOW, floor_cdbm=-7000)] == [-7000, None]
