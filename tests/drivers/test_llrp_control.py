"""Control messages: whatever bytes come, an answer or event is read or refused as BadFrame."""

import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from llrpkit.protocol import enums, messages, params

from drivers import _llrp_control as control
from drivers._llrp_frames import Frame
from gateway.errors import BadFrame, Rejected

OK = params.LLRPStatus(status_code=enums.StatusCode.M_Success)


def frame(message: control.LLRPMessage) -> Frame:
    data = message.to_bytes(message_id=1)
    return Frame(int.from_bytes(data[:2]) & 0x3FF, 1, data)


def raw(kind: int, body: bytes) -> Frame:
    return Frame(kind, 1, (0x400 | kind).to_bytes(2) + (10 + len(body)).to_bytes(4) + (1).to_bytes(4) + body)


def test_a_refusal_says_what_the_reader_said() -> None:
    status = params.LLRPStatus(status_code=enums.StatusCode.M_FieldError, error_description="no such mode")
    with pytest.raises(Rejected, match="ADD_ROSPEC_RESPONSE: M_FieldError no such mode"):
        control.answer(frame(messages.ADD_ROSPEC_RESPONSE(llrp_status=status)))
    with pytest.raises(Rejected, match="status 999"):
        control.answer(frame(messages.ERROR_MESSAGE(llrp_status=params.LLRPStatus(status_code=999))))


def test_a_reader_that_talks_much_is_cut_short() -> None:
    status = params.LLRPStatus(status_code=enums.StatusCode.M_FieldError, error_description="x" * 60_000)
    with pytest.raises(Rejected) as refused:
        control.answer(frame(messages.ADD_ROSPEC_RESPONSE(llrp_status=status)))
    assert len(str(refused.value)) < 300


def test_parameters_nested_a_thousand_deep_are_a_bad_frame() -> None:
    body = b""
    for _ in range(3_000):
        body = (289).to_bytes(2) + (8 + len(body)).to_bytes(2) + bytes(4) + body  # ParameterError inside another
    status = (287).to_bytes(2) + (8 + len(body)).to_bytes(2) + bytes(4) + body
    with pytest.raises(BadFrame):
        control.answer(raw(100, status))


def test_an_answer_of_another_kind_is_a_bad_frame() -> None:
    with pytest.raises(BadFrame):
        control.capabilities(messages.KEEPALIVE())
    with pytest.raises(BadFrame):
        control.capabilities(messages.GET_READER_CAPABILITIES_RESPONSE(llrp_status=OK))
    assert control.connected(messages.KEEPALIVE()) == {}
    assert control.rospec_ids(messages.KEEPALIVE()) == []


@settings(max_examples=200, deadline=None, phases=[Phase.generate])
@given(st.sampled_from([63, 11, 100, 12, 36, 1023]), st.binary(max_size=80))
def test_noise(kind: int, body: bytes) -> None:
    for read in (control.event, control.answer):
        try:
            read(raw(kind, body))
        except (BadFrame, Rejected):
            continue


def _fuzz(count: int) -> int:
    rng, refused = random.Random(4), 0
    at = params.UTCTimestamp(microseconds=1)
    data = params.ReaderEventNotificationData(
        timestamp=at,
        antenna_event=params.AntennaEvent(event_type=0, antenna_id=2),
        gpi_event=params.GPIEvent(gpi_port_number=1, gpi_event=True),
        reader_exception_event=params.ReaderExceptionEvent(message="too hot"),
        connection_attempt_event=params.ConnectionAttemptEvent(status=4),
    )
    seed = frame(messages.READER_EVENT_NOTIFICATION(reader_event_notification_data=data)).data
    for _ in range(count):
        hostile = bytearray(seed)
        for _ in range(rng.randint(1, 3)):
            hostile[rng.randrange(10, len(hostile))] = rng.randrange(256)
        try:
            control.event(Frame(63, 0, bytes(hostile)))
        except BadFrame:
            refused += 1
    return refused


def test_mutated_events() -> None:
    assert 100 < _fuzz(2_000) < 2_000


@pytest.mark.soak
def test_many_mutated_events() -> None:
    assert 5_000 < _fuzz(100_000) < 100_000


def test_what_an_event_says() -> None:
    data = params.ReaderEventNotificationData(
        timestamp=params.Uptime(microseconds=5),
        antenna_event=params.AntennaEvent(event_type=enums.AntennaEventType.Antenna_Disconnected, antenna_id=2),
        report_buffer_level_warning_event=params.ReportBufferLevelWarningEvent(report_buffer_percentage_full=80),
    )
    event = control.event(frame(messages.READER_EVENT_NOTIFICATION(reader_event_notification_data=data)))
    assert (event.utc_us, event.uptime_us, event.antenna, event.buffer_percent) == (None, 5, (2, False), 80)
    assert (event.attempt, event.closed, event.input, event.overflow) == (None, False, None, False)
