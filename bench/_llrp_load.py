"""Tag reports for `bench/llrp.py`, and a reader as a process that sends them as fast as a socket takes them.

`python -m bench._llrp_load KIND PER_REPORT TAGS`: prints its port, lets one client set it up, sends everything when it
is started, then waits for the client to go. It is told nothing by the driver but requests, and answers all of them.
"""

import socket
import sys
from typing import Any

from llrpkit.emulator.core import LLRPEmulator
from llrpkit.protocol import enums, impinj, messages, params

KINDS = ("lean", "rich")
DIFFERENT = 2_000  # tags that one reader hears
BEGAN_US = 1_790_000_000_000_000
START_ROSPEC, KEEPALIVE_ACK, RELEASE, CUSTOM, CLOSE = 22, 72, 64, 1023, 14


def tag(number: int, kind: str) -> params.TagReportData:
    report = params.TagReportData(
        epc_parameter=params.EPC_96(epc=b"\x30" + (number % DIFFERENT).to_bytes(11, "big")),
        antenna_id=params.AntennaID(antenna_id=number % 4 + 1),
        peak_rssi=params.PeakRSSI(peak_rssi=-40 - number % 40),
        last_seen_timestamp_utc=params.LastSeenTimestampUTC(microseconds=BEGAN_US + number),
    )
    if kind == "rich":
        report.ro_spec_id = params.ROSpecID(ro_spec_id=1)
        report.channel_index = params.ChannelIndex(channel_index=number % 16 + 1)
        report.first_seen_timestamp_utc = params.FirstSeenTimestampUTC(microseconds=BEGAN_US)
        report.tag_seen_count = params.TagSeenCount(tag_count=number % 9 + 1)
        report.custom = [
            impinj.ImpinjPeakRSSI(rssi=-4000 - number % 4000),
            impinj.ImpinjRFPhaseAngle(phase_angle=number % 4096),
        ]
    return report


def reports(kind: str, per_report: int, tags: int) -> list[bytes]:
    return [
        messages.RO_ACCESS_REPORT(tag_report_datas=[tag(first + more, kind) for more in range(per_report)]).to_bytes(
            message_id=first
        )
        for first in range(0, tags, per_report)
    ]


def answer(kind: int, number: int) -> bytes:
    ok = params.LLRPStatus(status_code=enums.StatusCode.M_Success)
    if kind == 1:
        return LLRPEmulator()._capabilities_response().to_bytes(message_id=number)  # noqa: SLF001 - a whole reader's
    if kind == CUSTOM:
        return impinj.IMPINJ_ENABLE_EXTENSIONS_RESPONSE(llrp_status=ok).to_bytes(message_id=number)
    status = ok.encode()
    said = 4 if kind == CLOSE else kind + 10
    return (
        (0x400 | said).to_bytes(2, "big") + (10 + len(status)).to_bytes(4, "big") + number.to_bytes(4, "big") + status
    )


def greeting() -> bytes:
    data = params.ReaderEventNotificationData(
        timestamp=params.UTCTimestamp(microseconds=BEGAN_US),
        connection_attempt_event=params.ConnectionAttemptEvent(status=0),
    )
    return messages.READER_EVENT_NOTIFICATION(reader_event_notification_data=data).to_bytes()


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def serve(sock: socket.socket, load: Any) -> None:  # noqa: ANN401 - list of bytes, sent over and over
    sock.sendall(greeting())
    while True:
        head = exactly(sock, 10)
        kind, number = int.from_bytes(head[:2], "big") & 0x3FF, int.from_bytes(head[6:], "big")
        exactly(sock, int.from_bytes(head[2:6], "big") - 10)
        if kind not in (KEEPALIVE_ACK, RELEASE):
            sock.sendall(answer(kind, number))
        if kind == START_ROSPEC:
            for some in load:
                sock.sendall(some)


def main() -> None:
    kind, per_report, tags = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    once = reports(kind, per_report, min(tags, 20_000))
    step = max(1, 5_000 // per_report)
    pieces = [b"".join(once[at : at + step]) for at in range(0, len(once), step)]
    load = pieces * max(1, tags // 20_000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        sock, _ = server.accept()
        with sock:
            try:
                serve(sock, load)
            except (EOFError, OSError):
                return


if __name__ == "__main__":
    main()
