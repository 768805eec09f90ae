"""ROSpecs as the simulated reader understands them: when to start and stop, which antennas, what to report.

Pure: bytes in, values out. Not here: living by them (`_reader_inventory.py`), AccessSpecs (`_reader_access.py`).
"""

from typing import NamedTuple

from drivers.simulators._reader_wire import (
    A_INVALID,
    CUSTOM,
    IMPINJ,
    M_MISSING,
    M_UNSUPPORTED_PARAMETER,
    BadMessage,
    Parameter,
    bits,
    custom_head,
    fields,
    parameters,
    words,
)

# TagReportContentSelector, 14.2.1.1: bits of its 16-bit field
RO_SPEC_ID, SPEC_INDEX, INVENTORY_ID, ANTENNA, CHANNEL = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800
PEAK_RSSI, FIRST_SEEN, LAST_SEEN, SEEN_COUNT, ACCESS_ID = 0x0400, 0x0200, 0x0100, 0x0080, 0x0040
# Impinj's own selector: which of its enabling parameters (subtype) asks for what
IMPINJ_SELECTOR = 50
TID, PHASE, FINE_RSSI, DOPPLER = 51, 52, 53, 67
NULL, DURATION, GPI, OBSERVED = 0, 1, 2, 3  # AISpec stop triggers; the first three of ROSpecs too
IMMEDIATE, PERIODIC, GPI_START = 1, 2, 3  # ROSpec start triggers


class Content(NamedTuple):
    """What each tag report shall hold. `extras`: subtypes of Impinj's enabling parameters that are on."""

    selected: int = RO_SPEC_ID | INVENTORY_ID | ANTENNA | CHANNEL | PEAK_RSSI | FIRST_SEEN | LAST_SEEN | SEEN_COUNT
    crc: bool = False
    pc: bool = False
    extras: frozenset[int] = frozenset()


class ReportSpec(NamedTuple):
    """When a report is made (`trigger`, ROReportTriggerType; 3 to 6 are LLRP 1.1's, by time) and what it holds."""

    trigger: int = 2
    n: int = 1
    content: Content = Content()


class Edge(NamedTuple):
    """A change of an input to a level; `timeout_ms` 0 = none."""

    port: int
    high: bool
    timeout_ms: int


class Mask(NamedTuple):
    """Bits that a tag's memory must have at a place, and what a match and a miss do (C1G2TagInventory...Action)."""

    bank: int
    pointer: int
    size: int
    value: int
    action: int = 0


class Observation(NamedTuple):
    """TagObservationTrigger, kind 0 = `tags` seen, 1 = nothing new for `t_ms`, 2 = `attempts` rounds."""

    kind: int
    tags: int
    attempts: int
    t_ms: int
    timeout_ms: int


class AiSpec(NamedTuple):
    """One antenna inventory."""

    antennas: tuple[int, ...]
    stop: int
    duration_ms: int
    edge: Edge | None
    observation: Observation | None
    inventory_id: int
    masks: tuple[Mask, ...]
    powers: tuple[int, ...]
    modes: tuple[int, ...]


class RoSpec(NamedTuple):
    """One reader operation. `raw` is the parameter as it came, for GET_ROSPECS."""

    number: int
    priority: int
    state: int
    start: int
    offset_ms: int
    period_ms: int
    start_edge: Edge | None
    stop: int
    duration_ms: int
    stop_edge: Edge | None
    ais: tuple[AiSpec, ...]
    report: ReportSpec | None
    raw: bytes


def one(kind: int, found: list[Parameter], what: str) -> Parameter:
    """Return the first parameter of a kind. Raises BadMessage when there is none."""
    for parameter in found:
        if parameter.kind == kind:
            return parameter
    raise BadMessage(f"{what} is missing", M_MISSING)


def read_rospec(parameter: Parameter) -> RoSpec:
    """Read a ROSpec parameter (177). Raises BadMessage."""
    number, priority, state = fields(">IBB", parameter.body, "ROSpec")
    inside = parameters(parameter.body[6:])
    boundary = parameters(one(178, inside, "ROBoundarySpec").body)
    start, offset_ms, period_ms, start_edge = _start(one(179, boundary, "ROSpecStartTrigger"))
    trigger = one(182, boundary, "ROSpecStopTrigger")
    stop, duration_ms = fields(">BI", trigger.body, "ROSpecStopTrigger")
    if any(spec.kind in (187, 355) for spec in inside):
        raise BadMessage("only AISpecs are supported, no survey and no loop", M_UNSUPPORTED_PARAMETER)
    ais = tuple(_aispec(spec) for spec in inside if spec.kind == 183)
    if not ais:
        raise BadMessage("an AISpec is missing", M_MISSING)
    report = next((read_report_spec(spec) for spec in inside if spec.kind == 237), None)
    stop_edge = _edge(parameters(trigger.body[5:]), wanted=stop == GPI)
    return RoSpec(
        number, priority, state, start, offset_ms, period_ms, start_edge, stop, duration_ms, stop_edge, ais, report,
        parameter.raw,
    )  # fmt: skip


def _start(trigger: Parameter) -> tuple[int, int, int, Edge | None]:
    (kind,) = fields(">B", trigger.body, "ROSpecStartTrigger")
    if kind > GPI_START:
        raise BadMessage(f"no start trigger {kind}", A_INVALID)
    inside = parameters(trigger.body[1:])
    offset_ms = period_ms = 0
    if kind == PERIODIC:
        offset_ms, period_ms = fields(">II", one(180, inside, "PeriodicTriggerValue").body, "PeriodicTriggerValue")
    return kind, offset_ms, period_ms, _edge(inside, wanted=kind == GPI_START)


def _edge(inside: list[Parameter], *, wanted: bool) -> Edge | None:
    if not wanted:
        return None
    port, level, timeout_ms = fields(">HBI", one(181, inside, "GPITriggerValue").body, "GPITriggerValue")
    return Edge(port, bool(level & 0x80), timeout_ms)


def _aispec(parameter: Parameter) -> AiSpec:
    antennas, rest = words(parameter.body, "AISpec")
    inside = parameters(rest)
    trigger = one(184, inside, "AISpecStopTrigger")
    stop, duration_ms = fields(">BI", trigger.body, "AISpecStopTrigger")
    if stop > OBSERVED:
        raise BadMessage(f"no AISpec stop trigger {stop}", A_INVALID)
    details = parameters(trigger.body[5:])
    inventory = one(186, inside, "InventoryParameterSpec")
    inventory_id, _protocol = fields(">HB", inventory.body, "InventoryParameterSpec")
    masks, powers, modes = _settings(parameters(inventory.body[3:]))
    observation = _observation(one(185, details, "TagObservationTrigger")) if stop == OBSERVED else None
    edge = _edge(details, wanted=stop == GPI)
    return AiSpec(antennas or (0,), stop, duration_ms, edge, observation, inventory_id, masks, powers, modes)


def _observation(parameter: Parameter) -> Observation:
    kind, _, tags, attempts, t_ms, timeout_ms = fields(">BBHHHI", parameter.body, "TagObservationTrigger")
    if kind > 2:
        raise BadMessage(f"tag observation {kind} is not supported", M_UNSUPPORTED_PARAMETER)
    return Observation(kind, tags, attempts, t_ms, timeout_ms)


def _settings(inside: list[Parameter]) -> tuple[tuple[Mask, ...], tuple[int, ...], tuple[int, ...]]:
    masks: list[Mask] = []
    powers: list[int] = []
    modes: list[int] = []
    for configuration in inside:
        if configuration.kind != 222:
            continue
        fields(">H", configuration.body, "AntennaConfiguration")
        for setting in parameters(configuration.body[2:]):
            if setting.kind == 224:
                powers.append(fields(">HHH", setting.body, "RFTransmitter")[2])
            elif setting.kind == 330:
                fields(">B", setting.body, "C1G2InventoryCommand")
                command = parameters(setting.body[1:])
                masks += [read_filter(one) for one in command if one.kind == 331]
                modes += [fields(">HH", one.body, "C1G2RFControl")[0] for one in command if one.kind == 335]
    return tuple(dict.fromkeys(masks)), tuple(powers), tuple(modes)


_AWARE = {0: 0, 1: 1, 2: 2, 4: 4, 5: 3, 6: 5}  # state-aware action -> the state-unaware one that selects alike


def read_filter(parameter: Parameter) -> Mask:
    """Read a C1G2Filter (331). Raises BadMessage."""
    inside = parameters(parameter.body[1:])
    mask = one(332, inside, "C1G2TagInventoryMask")
    bank, pointer = fields(">BH", mask.body, "C1G2TagInventoryMask")
    count, value, _ = bits(mask.body[3:], "C1G2TagInventoryMask")
    action = 0
    for found in inside:
        if found.kind == 334:
            (action,) = fields(">B", found.body, "C1G2TagInventoryStateUnawareFilterAction")
        elif found.kind == 333:
            action = _AWARE.get(fields(">BB", found.body, "C1G2TagInventoryStateAwareFilterAction")[1], 0)
    if action > 5:
        raise BadMessage(f"no filter action {action}", A_INVALID)
    return Mask(bank >> 6, pointer, count, value, action)


def read_report_spec(parameter: Parameter) -> ReportSpec:
    """Read a ROReportSpec (237). Raises BadMessage."""
    trigger, n = fields(">BH", parameter.body, "ROReportSpec")
    if trigger > 6:
        raise BadMessage(f"no report trigger {trigger}", A_INVALID)
    inside = parameters(parameter.body[3:])
    selector = one(238, inside, "TagReportContentSelector")
    (selected,) = fields(">H", selector.body, "TagReportContentSelector")
    crc = pc = False
    for memory in parameters(selector.body[2:]):
        if memory.kind == 348:
            (flags,) = fields(">B", memory.body, "C1G2EPCMemorySelector")
            crc, pc = bool(flags & 0x80), bool(flags & 0x40)
    extras = frozenset(number for one in inside if one.kind == CUSTOM for number in _extras(one))
    return ReportSpec(trigger, n, Content(selected, crc, pc, extras))


def _extras(parameter: Parameter) -> list[int]:
    vendor, subtype, rest = custom_head(parameter.body)
    if (vendor, subtype) != (IMPINJ, IMPINJ_SELECTOR):
        return []
    asked = (custom_head(one.body) for one in parameters(rest) if one.kind == CUSTOM)
    return [number for vendor, number, mode in asked if vendor == IMPINJ and any(mode)]
