"""All LLRP messages but tag reports: requests as bytes, answers and events as values of ours. Pure.

The one module that imports `llrpkit`, and only its `protocol` package, so that it can be replaced. Requests carry the
message id 0; the session numbers them. What comes from a reader and cannot be read is a `BadFrame`, whatever llrpkit
makes of it (parameters nested a thousand deep end in its recursion).
Next: `_llrp_specs.py` for what to read and to write, `_llrp_plan.py` for what is wanted, `_llrp_session.py` the way.
Source: LLRP 1.0.1; vendors' parts are data of the plan.
"""

from collections.abc import Mapping
from typing import NamedTuple

from llrpkit.exceptions import MessageDecodeError
from llrpkit.protocol import (
    BitStr,
    CustomParameter,
    LLRPMessage,
    UnknownCustomMessage,
    UnknownCustomParameter,
    decode_message,
    enums,
    messages,
    params,
)

from drivers._llrp_frames import Frame
from drivers._llrp_plan import Capabilities, Mode, Plan, Vendor
from gateway.errors import BadFrame, Rejected

# What `_llrp_specs.py` builds its trees of.
__all__ = ["BitStr", "CustomParameter", "LLRPMessage", "UnknownCustomParameter", "enums", "messages", "params"]

TEXT_MAX = 200  # of what a reader says in words: it goes into health and logs
REPORTED_EVENTS = (
    enums.NotificationEventType.GPI_Event,
    enums.NotificationEventType.ROSpec_Event,
    enums.NotificationEventType.Report_Buffer_Fill_Warning,
    enums.NotificationEventType.Reader_Exception_Event,
    enums.NotificationEventType.Antenna_Event,
)


class Event(NamedTuple):
    """One READER_EVENT_NOTIFICATION: when by the reader's clock, and what of these it tells (the others are None)."""

    utc_us: int | None = None
    uptime_us: int | None = None
    attempt: int | None = None  # 0 = we are let in, 1 or 2 = somebody else is connected, 4 = somebody else tried
    closed: bool = False
    antenna: tuple[int, bool] | None = None
    input: tuple[int, bool] | None = None
    rospec: tuple[int, bool] | None = None  # id, and whether it began (or else ended)
    buffer_percent: int | None = None
    overflow: bool = False
    exception: str | None = None


def decode(frame: Frame) -> LLRPMessage:
    """Read any message. Raises BadFrame."""
    try:
        return decode_message(frame.data)
    except (MessageDecodeError, ValueError, RecursionError) as error:
        raise BadFrame(f"message of type {frame.kind}: {error}") from error


def answer(frame: Frame) -> LLRPMessage:
    """Read an answer. Raises Rejected when the reader said no, with its reason."""
    message = decode(frame)
    status = getattr(message, "llrp_status", None)
    if isinstance(status, params.LLRPStatus) and status.status_code != enums.StatusCode.M_Success:
        code = status.status_code
        name = code.name if isinstance(code, enums.StatusCode) else f"status {code}"
        raise Rejected(f"{type(message).__name__}: {name} {status.error_description[:TEXT_MAX]}".rstrip())
    return message


def event(frame: Frame) -> Event:
    """Read a READER_EVENT_NOTIFICATION. Raises BadFrame."""
    message = decode(frame)
    if not isinstance(message, messages.READER_EVENT_NOTIFICATION):
        raise BadFrame(f"message of type {frame.kind} is no event")
    data = message.reader_event_notification_data
    at, antenna, gpi, spec = data.timestamp, data.antenna_event, data.gpi_event, data.ro_spec_event
    attempt, level, trouble = (
        data.connection_attempt_event,
        data.report_buffer_level_warning_event,
        data.reader_exception_event,
    )
    return Event(
        utc_us=at.microseconds if isinstance(at, params.UTCTimestamp) else None,
        uptime_us=at.microseconds if isinstance(at, params.Uptime) else None,
        attempt=None if attempt is None else int(attempt.status),
        closed=data.connection_close_event is not None,
        antenna=None if antenna is None else (antenna.antenna_id, bool(antenna.event_type)),
        input=None if gpi is None else (gpi.gpi_port_number, bool(gpi.gpi_event)),
        rospec=None if spec is None else (spec.ro_spec_id, spec.event_type == enums.ROSpecEventType.Start_Of_ROSpec),
        buffer_percent=None if level is None else level.report_buffer_percentage_full,
        overflow=data.report_buffer_overflow_error_event is not None,
        exception=None if trouble is None else trouble.message[:TEXT_MAX],
    )


def get_capabilities() -> bytes:
    """Ask what the reader can do."""
    return messages.GET_READER_CAPABILITIES(requested_data=enums.GetReaderCapabilitiesRequestedData.All).to_bytes()


def capabilities(message: LLRPMessage) -> Capabilities:
    """Return what the reader can do. Raises BadFrame when it does not tell it."""
    if not isinstance(message, messages.GET_READER_CAPABILITIES_RESPONSE):
        raise BadFrame(f"{type(message).__name__} instead of capabilities")
    general, regulatory, llrp = (
        message.general_device_capabilities,
        message.regulatory_capabilities,
        message.llrp_capabilities,
    )
    if general is None:
        raise BadFrame("capabilities without general device capabilities")
    uhf = None if regulatory is None else regulatory.uhf_band_capabilities
    hops = [] if uhf is None else uhf.frequency_information.frequency_hop_tables
    return Capabilities(
        pen=general.device_manufacturer_name,
        model=general.model_name,
        firmware=general.reader_firmware_version[:TEXT_MAX],
        antennas=general.max_number_of_antenna_supported,
        inputs=general.gpio_capabilities.num_gp_is,
        holds_reports=llrp is not None and llrp.supports_event_and_report_holding,
        powers={} if uhf is None else {one.index: one.transmit_power_value for one in _powers(uhf)},
        modes=() if uhf is None else tuple(_modes(uhf)),
        hop_table=hops[0].hop_table_id if hops else 0,
        country=0 if regulatory is None else regulatory.country_code,
        standard=0 if regulatory is None else int(regulatory.communications_standard),
    )


def _powers(uhf: params.UHFBandCapabilities) -> list[params.TransmitPowerLevelTableEntry]:
    return uhf.transmit_power_level_table_entrys


def _modes(uhf: params.UHFBandCapabilities) -> list[Mode]:
    return [
        Mode(one.mode_identifier, int(one.m_value), one.bdr_value)
        for table in uhf.air_protocol_uhfrf_mode_tables
        for one in table.c1_g2_uhfrf_mode_table_entrys
    ]


def hello(vendor: Vendor) -> bytes | None:
    """Return the custom message that a maker wants first, if it wants one."""
    if vendor.hello is None:
        return None
    subtype, payload = vendor.hello
    return UnknownCustomMessage(vendor_id=vendor.pen, subtype=subtype, payload=payload).to_bytes()


def get_antennas() -> bytes:
    """Ask which antennas are connected."""
    wanted = enums.GetReaderConfigRequestedData.AntennaProperties
    return messages.GET_READER_CONFIG(requested_data=wanted).to_bytes()


def connected(message: LLRPMessage) -> Mapping[int, bool]:
    """Return the antennas of an answer and whether each is connected; readers that cannot tell name none."""
    if not isinstance(message, messages.GET_READER_CONFIG_RESPONSE):
        return {}
    return {one.antenna_id: one.antenna_connected for one in message.antenna_properties}


def set_keepalive(keepalive_s: float) -> bytes:
    """Ask for a sign of life every so often, and for nothing else."""
    return messages.SET_READER_CONFIG(keepalive_spec=_every(keepalive_s)).to_bytes()


def _every(keepalive_s: float) -> params.KeepaliveSpec:
    periodic = enums.KeepaliveTriggerType.Periodic
    return params.KeepaliveSpec(keepalive_trigger_type=periodic, periodic_trigger_value=round(keepalive_s * 1000))


def set_config(plan: Plan, keepalive_s: float) -> bytes:
    """Ask for a sign of life every so often, for the events that we use, and to keep reports while we are away."""
    states = [params.EventNotificationState(event_type=one, notification_state=True) for one in REPORTED_EVENTS]
    inputs = range(1, plan.capabilities.inputs + 1)
    holds = params.EventsAndReports(hold_events_and_reports_upon_reconnect=True)
    return messages.SET_READER_CONFIG(
        reader_event_notification_spec=params.ReaderEventNotificationSpec(event_notification_states=states),
        keepalive_spec=_every(keepalive_s),
        gpi_port_current_states=[params.GPIPortCurrentState(gpi_port_num=one, config=True) for one in inputs],
        events_and_reports=holds if plan.capabilities.holds_reports else None,
    ).to_bytes()


def get_rospecs() -> bytes:
    """Ask what the reader is told to do."""
    return messages.GET_ROSPECS().to_bytes()


def rospec_ids(message: LLRPMessage) -> list[int]:
    """Return the ids of the ROSpecs in an answer."""
    return [one.ro_spec_id for one in message.ro_specs] if isinstance(message, messages.GET_ROSPECS_RESPONSE) else []


def enable(rospec: int) -> bytes:
    """Let a ROSpec wait for its trigger."""
    return messages.ENABLE_ROSPEC(ro_spec_id=rospec).to_bytes()


def disable(rospec: int) -> bytes:
    """Let a ROSpec wait no more."""
    return messages.DISABLE_ROSPEC(ro_spec_id=rospec).to_bytes()


def start(rospec: int) -> bytes:
    """Begin to read."""
    return messages.START_ROSPEC(ro_spec_id=rospec).to_bytes()


def stop(rospec: int) -> bytes:
    """Stop reading; the ROSpec stays enabled."""
    return messages.STOP_ROSPEC(ro_spec_id=rospec).to_bytes()


def delete(rospec: int) -> bytes:
    """Forget a ROSpec, whatever it is doing."""
    return messages.DELETE_ROSPEC(ro_spec_id=rospec).to_bytes()


def release() -> bytes:
    """Let go what was kept while we were away. LLRP has no answer to this."""
    return messages.ENABLE_EVENTS_AND_REPORTS().to_bytes()


def get_report() -> bytes:
    """Fetch what was read and not reported yet."""
    return messages.GET_REPORT().to_bytes()


def close() -> bytes:
    """Say good-bye."""
    return messages.CLOSE_CONNECTION().to_bytes()
