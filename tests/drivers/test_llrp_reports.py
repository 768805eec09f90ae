"""Tag reports: ours and llrpkit's reading are the same, the long way and by layouts; nothing hostile gets through."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from llrpkit.exceptions import MessageDecodeError
from llrpkit.protocol import BitStr, UnknownCustomParameter, impinj, params

from drivers._llrp_frames import Frames
from drivers._llrp_reports import LAYOUTS_MAX, Reports
from gateway.errors import BadFrame
from tests.drivers.llrp_reports import by_llrpkit, message, other, tag_reports

# Reports written by hand from LLRP 1.0.1 (header, TagReportData 240, then TV and TLV parameters).
GOLDEN = {
    "one of each kind": "043d000000230000000700f000198d000102030405060708090a0b81000386d6880002",
    "a bit vector": "043d000000200000000800f0001600f10012006030395fb4a3d525c000000001",
    "no tag": "043d0000000a00000001",
    "an unknown parameter inside": "043d00000021000000010" + "0f000178d000102030405060708090a0b" + "01f40006aabb",
    "an unknown parameter beside": "043d0000001f00000001" + "01f40004" + "00f000118d000102030405060708090a0b",
}
BAD = {
    "TV of no known length": "043d0000000f0000000100f00005ff",
    "TLV shorter than its header": "043d0000000e0000000100f00002",
    "TLV beyond the end": "043d0000001b0000000100f0ffff8d000102030405060708090a0b",
    "no EPC": "043d000000110000000100f00007810001",
    "EPC cut": "043d000000140000000100f0000a8d0001020304",
    "EPCData of more bits than bytes": "043d000000160000000100f0000c00f1000804000102",
    "TV no reader sends where a report should be": "043d0000000b00000001ff",
    "two bytes": "043d0000000c0000000100f0",
    "custom without a vendor": "043d000000230000000100f000198d000102030405060708090a0b03ff00080000651a",
    "Impinj power without a value": "043d000000270000000100f0001d8d000102030405060708090a0b03ff000c0000651a00000039",
    "result of an operation without a code": "043d0000001f0000000100f000158d000102030405060708090a0b015e0004",
}


@pytest.mark.parametrize("text", GOLDEN.values(), ids=GOLDEN.keys())
def test_written_by_hand(text: str) -> None:
    data = bytes.fromhex(text)
    assert Reports().decode(data) == by_llrpkit(data)


def test_values_of_the_first() -> None:
    (seen,) = Reports().decode(bytes.fromhex(GOLDEN["one of each kind"]))
    assert (seen.epc, seen.antenna, seen.rssi_dbm, seen.seen) == (bytes(range(12)), 3, -42, 2)
    assert seen.last_utc_us is None


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_a_bad_report_is_refused_as_llrpkit_does(text: str) -> None:
    data = bytes.fromhex(text)
    assert int.from_bytes(data[2:6], "big") == len(data)
    with pytest.raises(BadFrame):
        Reports().decode(data)
    with pytest.raises(MessageDecodeError):
        by_llrpkit(data)


def test_what_follows_a_bad_report_is_read() -> None:
    reports = Reports()
    good = bytes.fromhex(GOLDEN["one of each kind"])
    before = reports.decode(good)
    with pytest.raises(BadFrame):
        reports.decode(bytes.fromhex(BAD["no EPC"]))
    assert reports.decode(good) == before


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(tag_reports, max_size=6), st.lists(other, max_size=2))
def test_any_report_is_read_as_llrpkit_does(tags: list[Any], trailing: list[Any]) -> None:
    data, reports = message(tags, trailing), Reports()
    expected = by_llrpkit(data)
    assert reports.decode(data) == expected  # the long way, or by a layout learnt in the same message
    assert reports.decode(data) == expected  # by layouts


def test_ten_thousand_random_reports_by_one_decoder() -> None:
    """As one reader sends them: the decoder has learnt from all that came before."""
    reports, rng = Reports(), random.Random(1)
    for _ in range(10_000):
        data = message([_random_tag(rng) for _ in range(rng.choice((1,) * 9 + (4,)))])
        assert reports.decode(data) == by_llrpkit(data)


def _random_tag(rng: random.Random) -> params.TagReportData:
    def maybe(kind: Any, **fields: int) -> Any:
        return kind(**fields) if rng.random() < 0.6 else None

    epc = rng.randbytes(rng.choice((12, 12, 12, 16, 26, 1, 31)))
    whole = params.EPC_96(epc=epc) if len(epc) == 12 else params.EPCData(epc=BitStr.from_bytes(epc))
    extras = [
        impinj.ImpinjPeakRSSI(rssi=rng.randint(-9000, 0)),
        impinj.ImpinjRFPhaseAngle(phase_angle=rng.randint(0, 4095)),
        impinj.ImpinjRFDopplerFrequency(doppler_frequency=rng.randint(-999, 999)),
        UnknownCustomParameter(vendor_id=161, subtype=709, payload=rng.randbytes(2)),
        UnknownCustomParameter(vendor_id=25882, subtype=999, payload=rng.randbytes(rng.randint(0, 5))),
    ]
    return params.TagReportData(
        epc_parameter=whole,
        ro_spec_id=maybe(params.ROSpecID, ro_spec_id=rng.getrandbits(32)),
        antenna_id=maybe(params.AntennaID, antenna_id=rng.randint(0, 65535)),
        peak_rssi=maybe(params.PeakRSSI, peak_rssi=rng.randint(-128, 127)),
        channel_index=maybe(params.ChannelIndex, channel_index=rng.randint(0, 65535)),
        first_seen_timestamp_utc=maybe(params.FirstSeenTimestampUTC, microseconds=rng.getrandbits(64)),
        last_seen_timestamp_utc=maybe(params.LastSeenTimestampUTC, microseconds=rng.getrandbits(64)),
        last_seen_timestamp_uptime=maybe(params.LastSeenTimestampUptime, microseconds=rng.getrandbits(64)),
        tag_seen_count=maybe(params.TagSeenCount, tag_count=rng.randint(0, 65535)),
        access_command_op_spec_results=[params.C1G2WriteOpSpecResult(result=rng.randint(0, 6), op_spec_id=1)]
        if rng.random() < 0.1
        else [],
        custom=rng.sample(extras, rng.randint(0, len(extras))),
    )


def test_a_full_message_of_like_reports_and_one_of_mixed_ones() -> None:
    like = [_tag(bytes([number]) * 12) for number in range(250)]
    mixed = [_tag(bytes([number]) * (12 + 4 * (number % 3))) for number in range(250)]
    reports = Reports()
    for tags in (like, mixed, like):
        data = message(tags)
        assert reports.decode(data) == by_llrpkit(data)


def _tag(epc: bytes) -> params.TagReportData:
    whole = params.EPC_96(epc=epc) if len(epc) == 12 else params.EPCData(epc=BitStr.from_bytes(epc))
    return params.TagReportData(epc_parameter=whole, antenna_id=params.AntennaID(antenna_id=epc[0]))


def test_of_the_same_length_but_laid_out_otherwise() -> None:
    """Only what is as it was is read as it was: the same bytes long, other parameters."""
    first = params.TagReportData(epc_parameter=params.EPC_96(epc=b"a" * 12), antenna_id=params.AntennaID(antenna_id=1))
    second = params.TagReportData(
        epc_parameter=params.EPC_96(epc=b"b" * 12), tag_seen_count=params.TagSeenCount(tag_count=9)
    )
    reports = Reports()
    for tags in ([first], [second], [first, second, first], [second] * 3):
        data = message(tags)
        assert reports.decode(data) == by_llrpkit(data)


def test_layouts_are_bounded() -> None:
    reports = Reports()
    for size in range(1, 3 * LAYOUTS_MAX):
        assert len(reports.decode(message([_tag(b"x" * size)]))) == 1
        assert len(reports._layouts) <= LAYOUTS_MAX


def _mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(10, len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randint(1, 9)]
            case 2:
                data[at:at] = rng.randbytes(rng.randint(1, 9))
            case _:
                data[at] ^= 1 << rng.randrange(8)
        if len(data) <= 10:
            data += bytes(4)
    data[2:6] = len(data).to_bytes(4, "big")
    return bytes(data)


def _seeds() -> list[bytes]:
    rng = random.Random(2)
    return [bytes.fromhex(text) for text in GOLDEN.values() if len(text) > 20] + [
        message([_random_tag(rng) for _ in range(rng.randint(1, 4))]) for _ in range(40)
    ]


def _fuzz(count: int) -> tuple[int, int]:
    """Mutated reports through framing and decoding; a good one after each shows that the stream is in step."""
    rng, seeds, frames, reports = random.Random(3), _seeds(), Frames(), Reports()
    good = bytes.fromhex(GOLDEN["one of each kind"])
    bad = taken = 0
    for _ in range(count):
        hostile = _mutated(rng, seeds)
        found = list(_pieces(frames, hostile + good, rng))
        assert [frame.data for frame in found] == [hostile, good]
        try:
            taken += len(reports.decode(hostile)) > 0
        except BadFrame:
            bad += 1
        assert reports.decode(good)[0].epc == bytes(range(12))
    return bad, taken


def _pieces(frames: Frames, data: bytes, rng: random.Random) -> Iterator[Any]:
    cut = rng.randrange(len(data))
    yield from frames.feed(data[:cut])
    yield from frames.feed(data[cut:])


def test_mutated_reports_never_break_the_stream() -> None:
    bad, taken = _fuzz(3_000)
    assert bad > 300
    assert taken > 300


@pytest.mark.soak
def test_a_million_mutated_reports_never_break_the_stream() -> None:
    bad, taken = _fuzz(1_000_000)
    assert bad > 100_000
    assert taken > 100_000


@settings(max_examples=200, deadline=None, phases=[Phase.generate])
@given(st.binary(max_size=200))
def test_noise_is_refused_or_read(noise: bytes) -> None:
    data = b"\x04\x3d" + (10 + len(noise)).to_bytes(4, "big") + bytes(4) + noise
    try:
        Reports().decode(data)
    except BadFrame:
        return
