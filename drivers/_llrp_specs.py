"""What a reader is told to read (ROSpec) and to do with a tag (AccessSpec), as messages. Pure.

Started by us, stopped by nobody: an inventory runs until the reader is told otherwise; with `gpi_start` it runs while
an input is high. LLRP 1.0.1 knows no report "every so many milliseconds": what is less than `report_every` is fetched.
Source: LLRP 1.0.1, 11.2 (ROSpec), 12.2 (AccessSpec), 16.2 (Gen2 parameters).
"""

from typing import NamedTuple

from drivers._llrp_control import BitStr, CustomParameter, UnknownCustomParameter, enums, messages, params
from drivers._llrp_plan import Plan, Vendor

ROSPEC_ID = 0x41534C44  # ours among those of others
LOOK_ID = ROSPEC_ID + 1  # the short inventory before and after a write
ACCESS_ID = ROSPEC_ID
OURS = (ROSPEC_ID, LOOK_ID)
EPC_BANK, RESERVED_BANK = 1, 0
EPC_BIT = 0x20  # Gen2, 6.3.2.1.2: behind CRC and PC
CHANNEL = 1  # one-based; the reader hops, or takes the first of its list

GEN2 = enums.AirProtocols.EPCGlobalClass1Gen2


class Write(NamedTuple):
    """Write words of a bank."""

    bank: int
    word: int
    data: bytes
    password: int


class Lock(NamedTuple):
    """Forbid changes of EPC and passwords (and reading of these) without the access password."""

    password: int


class Kill(NamedTuple):
    """Silence a tag for ever."""

    password: int


Operation = Write | Lock | Kill


def add_rospec(plan: Plan, *, extensions: bool = True) -> bytes:
    """Tell the reader what to read; without `extensions` no vendor's parameters are in it."""
    config, vendor = plan.config, plan.vendor if extensions else None
    commands = {antenna: _command(plan, config.session, vendor) for antenna in plan.antennas}
    return _add(ROSPEC_ID, _boundary(plan), _inventory(plan, commands), _report(config.report_every, vendor))


def add_look(plan: Plan, antenna: int) -> bytes:
    """Tell the reader to tell every tag that one antenna hears, at once and again: session 0 forgets quickly."""
    return _add(LOOK_ID, _untriggered(), _inventory(plan, {antenna: _command(plan, 0, None)}), _report(1, None))


def add_access(epc: str, antenna: int, operation: Operation) -> bytes:
    """Tell the reader to do something once to the tag with this EPC when the look hears it."""
    whole = BitStr.from_bytes(bytes.fromhex(epc))
    mask = BitStr.from_bytes(b"\xff" * len(whole.data))
    target = params.C1G2TargetTag(mb=EPC_BANK, match=True, pointer=EPC_BIT, tag_mask=mask, tag_data=whole)
    once = enums.AccessSpecStopTriggerType.Operation_Count
    spec = params.AccessSpec(
        access_spec_id=ACCESS_ID,
        antenna_id=antenna,
        protocol_id=GEN2,
        ro_spec_id=LOOK_ID,
        access_spec_stop_trigger=params.AccessSpecStopTrigger(access_spec_stop_trigger=once, operation_count_value=1),
        access_command=params.AccessCommand(
            air_protocol_tag_spec=params.C1G2TagSpec(c1_g2_target_tags=[target]),
            access_command_op_specs=[_operation(operation)],
        ),
    )
    return messages.ADD_ACCESSSPEC(access_spec=spec).to_bytes()


def enable_access() -> bytes:
    """Let it happen."""
    return messages.ENABLE_ACCESSSPEC(access_spec_id=ACCESS_ID).to_bytes()


def delete_access() -> bytes:
    """Forget it, done or not."""
    return messages.DELETE_ACCESSSPEC(access_spec_id=ACCESS_ID).to_bytes()


def code_name(kind: int, code: int) -> str:
    """Return what a result of an operation says, as LLRP names it."""
    names = {350: enums.C1G2WriteResultType, 351: enums.C1G2KillResultType, 352: enums.C1G2LockResultType}
    known = names.get(kind)
    return known(code).name if known is not None and code in list(known) else f"result {code}"


def _add(rospec: int, boundary: params.ROBoundarySpec, inventory: params.AISpec, report: params.ROReportSpec) -> bytes:
    spec = params.ROSpec(
        ro_spec_id=rospec, ro_boundary_spec=boundary, spec_parameters=[inventory], ro_report_spec=report
    )
    return messages.ADD_ROSPEC(ro_spec=spec).to_bytes()


def _boundary(plan: Plan) -> params.ROBoundarySpec:
    port = plan.config.gpi_start
    if port is None:
        return _untriggered()
    goes_high, goes_low = (
        params.GPITriggerValue(gpi_port_num=port, gpi_event=high, timeout=0 if high else _most_ms(plan))
        for high in (True, False)
    )
    return params.ROBoundarySpec(
        ro_spec_start_trigger=params.ROSpecStartTrigger(
            ro_spec_start_trigger_type=enums.ROSpecStartTriggerType.GPI, gpi_trigger_value=goes_high
        ),
        ro_spec_stop_trigger=params.ROSpecStopTrigger(
            ro_spec_stop_trigger_type=enums.ROSpecStopTriggerType.GPI_With_Timeout, gpi_trigger_value=goes_low
        ),
    )


def _most_ms(plan: Plan) -> int:
    return round(plan.config.gpi_most_s * 1000)


def _untriggered() -> params.ROBoundarySpec:
    return params.ROBoundarySpec(
        ro_spec_start_trigger=params.ROSpecStartTrigger(), ro_spec_stop_trigger=params.ROSpecStopTrigger()
    )


def _inventory(plan: Plan, commands: dict[int, params.C1G2InventoryCommand]) -> params.AISpec:
    antennas = [
        params.AntennaConfiguration(
            antenna_id=antenna,
            rf_transmitter=_transmitter(plan, antenna),
            air_protocol_inventory_command_settings=[command],
        )
        for antenna, command in commands.items()
    ]
    return params.AISpec(
        antenna_ids=list(commands),
        ai_spec_stop_trigger=params.AISpecStopTrigger(),
        inventory_parameter_specs=[
            params.InventoryParameterSpec(
                inventory_parameter_spec_id=1, protocol_id=GEN2, antenna_configurations=antennas
            )
        ],
    )


def _transmitter(plan: Plan, antenna: int) -> params.RFTransmitter | None:
    index = plan.power_index.get(antenna)
    if index is None:
        return None
    return params.RFTransmitter(hop_table_id=plan.capabilities.hop_table, channel_index=CHANNEL, transmit_power=index)


def _command(plan: Plan, session: int, vendor: Vendor | None) -> params.C1G2InventoryCommand:
    config = plan.config
    return params.C1G2InventoryCommand(
        c1_g2_rf_control=None if config.mode is None else params.C1G2RFControl(mode_index=config.mode, tari=0),
        c1_g2_singulation_control=params.C1G2SingulationControl(session=session, tag_population=config.tag_population),
        custom=_search(config.search, vendor),
    )


def _search(search: str | None, vendor: Vendor | None) -> list[CustomParameter]:
    if search is None or vendor is None:
        return []
    return [_custom(vendor, (vendor.search, vendor.searches[search].to_bytes(2)))]


def _report(every: int, vendor: Vendor | None) -> params.ROReportSpec:
    return params.ROReportSpec(
        ro_report_trigger=enums.ROReportTriggerType.Upon_N_Tags_Or_End_Of_ROSpec,
        n=every,
        tag_report_content_selector=params.TagReportContentSelector(
            enable_ro_spec_id=True,
            enable_antenna_id=True,
            enable_peak_rssi=True,
            enable_last_seen_timestamp=True,
            enable_tag_seen_count=True,
        ),
        custom=[] if vendor is None or vendor.report is None else [_custom(vendor, vendor.report)],
    )


def _custom(vendor: Vendor, part: tuple[int, bytes]) -> UnknownCustomParameter:
    subtype, payload = part
    return UnknownCustomParameter(vendor_id=vendor.pen, subtype=subtype, payload=payload)


def _operation(operation: Operation) -> params.C1G2Write | params.C1G2Lock | params.C1G2Kill:
    match operation:
        case Write(bank, word, data, password):
            words = [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]
            return params.C1G2Write(
                op_spec_id=1, access_password=password, mb=bank, word_pointer=word, write_data=words
            )
        case Lock(password):
            fields = enums.C1G2LockDataField
            payloads = [
                params.C1G2LockPayload(privilege=enums.C1G2LockPrivilege.Read_Write, data_field=one)
                for one in (fields.Kill_Password, fields.Access_Password, fields.EPC_Memory)
            ]
            return params.C1G2Lock(op_spec_id=1, access_password=password, c1_g2_lock_payloads=payloads)
        case Kill(password):
            return params.C1G2Kill(op_spec_id=1, kill_password=password)
