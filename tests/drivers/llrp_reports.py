"""Tag reports for tests, encoded by llrpkit, and what llrpkit reads in them: the oracle of `_llrp_reports.py`."""

from typing import Any

from hypothesis import strategies as st
from llrpkit.inventory import TagReport
from llrpkit.protocol import BitStr, UnknownCustomParameter, UnknownParameter, decode_message, impinj, messages, params

from drivers._llrp_reports import OpResult, TagSeen

u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
s16 = st.integers(-(2**15), 2**15 - 1)


def _maybe(made: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | made


def _epc_data(data: bytes, spare: int) -> params.EPCData:
    return params.EPCData(epc=BitStr(max(0, 8 * len(data) - spare), data or b""))


results = st.one_of(
    st.builds(
        params.C1G2ReadOpSpecResult, result=st.integers(0, 3), op_spec_id=u16, read_data=st.lists(u16, max_size=4)
    ),
    st.builds(params.C1G2WriteOpSpecResult, result=st.integers(0, 6), op_spec_id=u16, num_words_written=u16),
    st.builds(params.C1G2KillOpSpecResult, result=st.integers(0, 5), op_spec_id=u16),
    st.builds(params.C1G2LockOpSpecResult, result=st.integers(0, 4), op_spec_id=u16),
    st.builds(params.C1G2BlockWriteOpSpecResult, result=st.integers(0, 6), op_spec_id=u16, num_words_written=u16),
)
custom = st.one_of(
    st.builds(impinj.ImpinjPeakRSSI, rssi=s16),
    st.builds(impinj.ImpinjRFPhaseAngle, phase_angle=u16),
    st.builds(impinj.ImpinjRFDopplerFrequency, doppler_frequency=s16),
    st.builds(impinj.ImpinjSerializedTID, t_id=st.lists(u16, max_size=6)),
    st.builds(UnknownCustomParameter, vendor_id=u32, subtype=u32, payload=st.binary(max_size=9)),
)
tag_reports = st.builds(
    params.TagReportData,
    epc_parameter=st.one_of(
        st.builds(params.EPC_96, epc=st.binary(min_size=12, max_size=12)),
        st.builds(_epc_data, st.binary(min_size=1, max_size=33), st.integers(0, 7)),
    ),
    ro_spec_id=_maybe(st.builds(params.ROSpecID, ro_spec_id=u32)),
    spec_index=_maybe(st.builds(params.SpecIndex, spec_index=u16)),
    inventory_parameter_spec_id=_maybe(st.builds(params.InventoryParameterSpecID, inventory_parameter_spec_id=u16)),
    antenna_id=_maybe(st.builds(params.AntennaID, antenna_id=u16)),
    peak_rssi=_maybe(st.builds(params.PeakRSSI, peak_rssi=st.integers(-128, 127))),
    channel_index=_maybe(st.builds(params.ChannelIndex, channel_index=u16)),
    first_seen_timestamp_utc=_maybe(st.builds(params.FirstSeenTimestampUTC, microseconds=u64)),
    first_seen_timestamp_uptime=_maybe(st.builds(params.FirstSeenTimestampUptime, microseconds=u64)),
    last_seen_timestamp_utc=_maybe(st.builds(params.LastSeenTimestampUTC, microseconds=u64)),
    last_seen_timestamp_uptime=_maybe(st.builds(params.LastSeenTimestampUptime, microseconds=u64)),
    tag_seen_count=_maybe(st.builds(params.TagSeenCount, tag_count=u16)),
    air_protocol_tag_datas=st.lists(
        st.builds(params.C1G2_PC, pc_bits=u16) | st.builds(params.C1G2_CRC, crc=u16), max_size=2
    ),
    access_spec_id=_maybe(st.builds(params.AccessSpecID, access_spec_id=u32)),
    access_command_op_spec_results=st.lists(results, max_size=2),
    custom=st.lists(custom, max_size=4),
)
other = st.builds(UnknownParameter, param_type=st.integers(300, 320), payload=st.binary(max_size=9))


def message(tags: list[Any], trailing: list[Any] = []) -> bytes:  # noqa: B006 - never changed
    report = messages.RO_ACCESS_REPORT(tag_report_datas=tags)
    report.unbound_params.extend(trailing)
    return report.to_bytes(message_id=7)


def by_llrpkit(data: bytes) -> list[TagSeen]:
    """What llrpkit reads in a message, in our words."""
    decoded = decode_message(data)
    assert isinstance(decoded, messages.RO_ACCESS_REPORT)
    return [_seen(tag) for tag in decoded.tag_report_datas]


def _seen(tag: params.TagReportData) -> TagSeen:
    flat = TagReport.from_param(tag)
    vendors = {type(one): one for one in tag.custom}
    phase, power = vendors.get(impinj.ImpinjRFPhaseAngle), vendors.get(impinj.ImpinjPeakRSSI)
    doppler = vendors.get(impinj.ImpinjRFDopplerFrequency)
    done = [OpResult(one.PARAM_TYPE, int(one.result), one.op_spec_id) for one in tag.access_command_op_spec_results]
    first, last = tag.first_seen_timestamp_uptime, tag.last_seen_timestamp_uptime
    zebra = [one for one in tag.custom if getattr(one, "vendor_id", 0) == 161 and getattr(one, "subtype", 0) == 709]
    return TagSeen(
        epc=flat.epc,
        antenna=flat.antenna,
        rssi_dbm=None if tag.peak_rssi is None else tag.peak_rssi.peak_rssi,
        rssi_cdbm=None if power is None else power.rssi,
        seen=flat.seen_count,
        last_utc_us=flat.last_seen_us,
        first_utc_us=flat.first_seen_us,
        last_uptime_us=None if last is None else last.microseconds,
        first_uptime_us=None if first is None else first.microseconds,
        phase=None if phase is None else phase.phase_angle,
        zebra_phase=int.from_bytes(zebra[-1].payload[:2], "big", signed=True) if zebra else None,
        rospec=None if tag.ro_spec_id is None else tag.ro_spec_id.ro_spec_id,
        channel=flat.channel_index,
        doppler=None if doppler is None else doppler.doppler_frequency,
        results=tuple(done) or None,
    )
