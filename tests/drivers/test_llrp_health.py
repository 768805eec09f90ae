"""What is said of a reader: the worst that is so, with evidence, and no longer than it is so."""

from drivers._llrp_health import HOLD_S, Verdict, Watch
from gateway.messages import TagRead

HOUR = 3600.0


def read(*antennas: int) -> list[TagRead]:
    return [TagRead("30", antenna, 1) for antenna in antennas]


def watch(*antennas: int) -> Watch:
    made = Watch(0.0, HOUR)
    made.uses(antennas)
    return made


def verdict(of: Watch, now_s: float) -> Verdict:
    return of.verdict(now_s, "Impinj", running=True)


def test_online_with_antennas_and_reads() -> None:
    one = watch(1, 2)
    one.read(read(1, 2, 2), 1.0)
    assert verdict(one, 2.0)[:3] == ("online", "reading", "Impinj: reading with antennas 1, 2; 3 reads so far")
    assert one.verdict(2.0, "Impinj", running=False).reason == "armed"


def test_an_unplugged_antenna_until_it_is_back() -> None:
    one = watch(1, 2)
    one.antenna(2, connected=False)
    one.antenna(7, connected=False)  # not used
    assert verdict(one, 1.0)[:3] == ("degraded", "antenna_lost", "Impinj: no antenna at port 2")
    assert one.antennas == (1,)
    one.antenna(2, connected=True)
    assert verdict(one, 1.0).state == "online"


def test_an_antenna_that_reads_is_there_whatever_was_said() -> None:
    one = watch(1)
    one.antenna(1, connected=False)
    one.read(read(1), 1.0)
    assert one.antennas == (1,)


def test_an_antenna_that_is_silent_while_others_read() -> None:
    one = watch(1, 2, 3)
    one.read(read(1, 2), 10.0)
    for now_s in range(60, 8000, 60):
        one.read(read(1), float(now_s))
    one.read(read(3), 8000.0)
    found = verdict(one, 8000.0)
    assert found[:2] == ("degraded", "antenna_silent")
    assert found.evidence == "Impinj: antenna 2 has read nothing for 133 min, others did (1, 3)"


def test_silence_of_all_is_a_quiet_shop() -> None:
    one = watch(1, 2)
    one.read(read(1), 10.0)
    assert verdict(one, 12 * HOUR).state == "online"
    assert verdict(watch(1, 2), 12 * HOUR).state == "online"


def test_what_happened_is_held_for_a_while_the_worst_first() -> None:
    one = watch(1)
    one.trouble("buffer_filling", "80 %", 0.0)
    one.trouble("reads_lost", "overflow", 0.0)
    assert verdict(one, 1.0).reason == "reads_lost"
    assert verdict(one, HOLD_S + 1).state == "online"
