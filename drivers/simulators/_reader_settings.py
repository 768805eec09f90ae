"""The configuration of one simulated reader: SET_READER_CONFIG into values, values into GET_READER_CONFIG's answer.

Pure. Not here: what follows from it (`_reader_device.py`).
"""

import struct
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.simulators._reader_kind import GPIS, GPOS
from drivers.simulators._reader_spec import ReportSpec, read_report_spec
from drivers.simulators._reader_wire import (
    A_OUT_OF_RANGE,
    CUSTOM,
    IMPINJ,
    M_UNEXPECTED,
    BadMessage,
    Parameter,
    custom,
    custom_head,
    fields,
    parameters,
    tlv,
)

# GetReaderConfigRequestedData, 14.1.2
ALL, IDENTIFICATION, ANTENNA_PROPERTIES, ANTENNA_CONFIGURATION, RO_REPORT, EVENTS = range(6)
ACCESS_REPORT, STATE, KEEPALIVE, GPI_STATE, GPO_DATA, HOLDING = range(6, 12)
EVENT_KINDS = 9
# NotificationEventType, 14.2.5.2
HOPPING, GPI, ROSPEC, BUFFER, EXCEPTION, SURVEY, AISPEC, AISPEC_DETAILS, ANTENNA = range(EVENT_KINDS)
_FACTORY_REPORT = tlv(237, struct.pack(">BH", 2, 1), tlv(238, struct.pack(">H", 0xB780)))


class Ask(NamedTuple):
    """What GET_READER_CONFIG wants. `antenna`, `gpi`, `gpo` 0 = each of them; `temperature`: Impinj's own."""

    antenna: int
    what: int
    gpi: int
    gpo: int
    temperature: bool


@dataclass
class Settings:
    """What a client can set; raw parameters are kept as they came. `cut`: antennas whose cable is out."""

    mac: bytes
    antennas: int
    keepalive_ms: int = 0
    events: set[int] = field(default_factory=set)
    hold: bool = False  # events and reports upon reconnect
    report: ReportSpec = field(default_factory=ReportSpec)
    report_raw: bytes = _FACTORY_REPORT
    access_report: int = 0
    gpi_on: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(range(1, GPIS + 1), True))
    gpi_high: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(range(1, GPIS + 1), False))
    gpo_high: dict[int, bool] = field(default_factory=lambda: dict.fromkeys(range(1, GPOS + 1), False))
    antenna_raw: dict[int, bytes] = field(default_factory=dict)
    cut: set[int] = field(default_factory=set)
    changes: int = 0


def changed(settings: Settings, body: bytes) -> Settings:
    """Return the settings after a SET_READER_CONFIG: all of it is taken over, or nothing. Raises BadMessage."""
    (flags,) = fields(">B", body, "SET_READER_CONFIG")
    found = deepcopy(settings)
    if flags & 0x80:
        found = Settings(settings.mac, settings.antennas, gpi_high=found.gpi_high, cut=found.cut, changes=found.changes)
    for parameter in parameters(body[1:]):
        _set(found, parameter)
    found.changes += 1
    return found


def _set(found: Settings, parameter: Parameter) -> None:
    body = parameter.body
    match parameter.kind:
        case 220:
            kind, period_ms = fields(">BI", body, "KeepaliveSpec")
            found.keepalive_ms = period_ms if kind == 1 else 0
        case 226:
            found.hold = bool(fields(">B", body, "EventsAndReports")[0] & 0x80)
        case 237:
            found.report, found.report_raw = read_report_spec(parameter), parameter.raw
        case 239:
            (found.access_report,) = fields(">B", body, "AccessReportSpec")
        case 244:
            _events(found, parameters(body))
        case _:
            _set_part(found, parameter)


def _set_part(found: Settings, parameter: Parameter) -> None:
    """Set one port or one antenna."""
    body = parameter.body
    match parameter.kind:
        case 219:
            port, high = fields(">HB", body, "GPOWriteData")
            found.gpo_high[_within(port, GPOS, "GPO port")] = bool(high & 0x80)
        case 225:
            port, on, _ = fields(">HBB", body, "GPIPortCurrentState")
            found.gpi_on[_within(port, GPIS, "GPI port")] = bool(on & 0x80)
        case 221:
            _within(fields(">BHh", body, "AntennaProperties")[1], found.antennas, "antenna")
        case 222:
            _antenna(found, parameter)
        case other if other == CUSTOM:
            custom_head(body)  # a vendor's extension: taken, and without effect
        case other:
            raise BadMessage(f"parameter {other} is not part of SET_READER_CONFIG", M_UNEXPECTED)


def _antenna(found: Settings, parameter: Parameter) -> None:
    (antenna,) = fields(">H", parameter.body, "AntennaConfiguration")
    for number in [_within(antenna, found.antennas, "antenna")] if antenna else range(1, found.antennas + 1):
        found.antenna_raw[number] = tlv(222, struct.pack(">H", number), parameter.body[2:])


def _events(found: Settings, states: list[Parameter]) -> None:
    for state in states:
        kind, on = fields(">HB", state.body, "EventNotificationState")
        if kind < EVENT_KINDS:
            (found.events.add if on & 0x80 else found.events.discard)(kind)


def _within(number: int, last: int, what: str) -> int:
    if not 1 <= number <= last:
        raise BadMessage(f"there is no {what} {number}", A_OUT_OF_RANGE)
    return number


def read_ask(body: bytes) -> Ask:
    """Read a GET_READER_CONFIG. Raises BadMessage."""
    antenna, what, gpi, gpo = fields(">HBHH", body, "GET_READER_CONFIG")
    vendor = [custom_head(one.body) for one in parameters(body[7:]) if one.kind == CUSTOM]
    return Ask(antenna, what, gpi, gpo, any((one[0], one[1]) == (IMPINJ, 21) for one in vendor))


def answer(settings: Settings, ask: Ask, temperature_c: int | None) -> list[bytes]:
    """Return the parameters of GET_READER_CONFIG_RESPONSE. Raises BadMessage when there is no such port."""
    for number, last, what in (
        (ask.antenna, settings.antennas, "antenna"),
        (ask.gpi, GPIS, "GPI"),
        (ask.gpo, GPOS, "GPO"),
    ):
        if number:
            _within(number, last, what)
    antennas = [ask.antenna] if ask.antenna else list(range(1, settings.antennas + 1))
    told = {
        IDENTIFICATION: [tlv(218, struct.pack(">BH", 0, len(settings.mac)), settings.mac)],
        ANTENNA_PROPERTIES: [tlv(221, _properties(settings, number)) for number in antennas],
        ANTENNA_CONFIGURATION: [_configuration(settings, number) for number in antennas],
        EVENTS: [tlv(244, *(tlv(245, _flag(kind, kind in settings.events)) for kind in range(EVENT_KINDS)))],
        RO_REPORT: [settings.report_raw],
        ACCESS_REPORT: [tlv(239, bytes([settings.access_report]))],
        STATE: [tlv(217, struct.pack(">I", settings.changes))],
        KEEPALIVE: [tlv(220, struct.pack(">BI", settings.keepalive_ms > 0, settings.keepalive_ms))],
        GPI_STATE: [tlv(225, _gpi(settings, port)) for port in _ports(ask.gpi, GPIS)],
        GPO_DATA: [tlv(219, _flag(port, settings.gpo_high[port])) for port in _ports(ask.gpo, GPOS)],
        HOLDING: [tlv(226, b"\x80" if settings.hold else b"\x00")],
    }
    found = [one for kind, parts in told.items() if ask.what in (ALL, kind) for one in parts]
    if ask.temperature and temperature_c is not None:
        found.append(custom(IMPINJ, 37, struct.pack(">h", temperature_c)))
    return found


def _ports(asked: int, last: int) -> list[int]:
    return [asked] if asked else list(range(1, last + 1))


def _flag(number: int, on: bool) -> bytes:  # noqa: FBT001 (a field)
    return struct.pack(">HB", number, 0x80 if on else 0)


def _properties(settings: Settings, antenna: int) -> bytes:
    return struct.pack(">BHh", 0 if antenna in settings.cut else 0x80, antenna, 600)


def _configuration(settings: Settings, antenna: int) -> bytes:
    return settings.antenna_raw.get(antenna) or tlv(222, struct.pack(">H", antenna))


def _gpi(settings: Settings, port: int) -> bytes:
    on = settings.gpi_on[port]
    return struct.pack(">HBB", port, 0x80 if on else 0, int(settings.gpi_high[port]) if on else 2)
