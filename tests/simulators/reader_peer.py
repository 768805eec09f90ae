"""A client of one simulated reader without sockets, in virtual time: llrpkit's codec on the other end of the bytes."""

from llrpkit.inventory import build_rospec
from llrpkit.protocol import decode_message, messages, params
from llrpkit.protocol.codec import LLRPMessage

from drivers.simulators.reader import FleetConfig, ReaderFleet, Stock

EPOCH_S = 1_700_000_000.0


def fleet_of(tags=60, seed=1, static=-1, gtins=(), **config):
    stock = Stock(tags=tags, seed=seed, odd_share=config.pop("odd_share", 0.0), static=static, gtins=gtins)
    return ReaderFleet(FleetConfig(**{"stock": stock, "ghost_share": 0.0, "epoch_s": EPOCH_S} | config))


class Peer:
    """Connects on creation. `heard`: every message that was not an answer yet; `full`: takes nothing."""

    def __init__(self, fleet: ReaderFleet, number: int = 1) -> None:
        self.fleet, self.reader = fleet, fleet.readers[number - 1]
        self.full = self.closed = False
        self.raw: list[bytes] = []
        self.bad: list[bytes] = []
        self.heard: list[LLRPMessage] = []
        self._next = 1_000_000  # far from the numbers of whatever else is sent
        self.connection = self.reader.connect(self)

    def write(self, data: bytes) -> None:
        self.raw.append(data)
        while data:
            length = int.from_bytes(data[2:6], "big")
            try:
                self.heard.append(decode_message(data[:length]))
            except Exception:  # noqa: BLE001 (whatever the codec raises for a mishap's garbage)
                self.bad.append(data[:length])
            data = data[length:]

    def close(self) -> None:
        self.closed = True

    abort = close

    def ask(self, message: LLRPMessage, version: int = 1) -> LLRPMessage:
        """Send a request; returns the answer with its number."""
        self._next += 1
        self.connection.receive(message.to_bytes(message_id=self._next, version=version))
        (answer,) = (one for one in self.heard if one.message_id == self._next and _is_answer(one))
        self.heard.remove(answer)
        return answer

    def order(self, message: LLRPMessage) -> LLRPMessage:
        """Send a request that must succeed."""
        answer = self.ask(message)
        assert int(answer.llrp_status.status_code) == 0, answer.llrp_status
        return answer

    def tell(self, message: LLRPMessage) -> None:
        """Send what has no answer."""
        self.connection.receive(message.to_bytes(message_id=0))

    def run(self, seconds: float) -> "Peer":
        self.fleet.run_until(self.fleet.timeline.now_s + seconds)
        return self

    def add(self, spec=None, *, start=True, **options) -> None:
        """Add, enable and start a ROSpec."""
        spec = spec or build_rospec(**options)
        self.order(messages.ADD_ROSPEC(ro_spec=spec))
        self.order(messages.ENABLE_ROSPEC(ro_spec_id=spec.ro_spec_id))
        if start:
            self.order(messages.START_ROSPEC(ro_spec_id=spec.ro_spec_id))

    def want(self, *kinds: int, **more) -> None:
        """Ask for events of these kinds."""
        states = [params.EventNotificationState(event_type=kind, notification_state=True) for kind in kinds]
        spec = params.ReaderEventNotificationSpec(event_notification_states=states) if states else None
        self.order(
            messages.SET_READER_CONFIG(reset_to_factory_default=False, reader_event_notification_spec=spec, **more)
        )

    def reports(self) -> list[messages.RO_ACCESS_REPORT]:
        """Return the reports heard so far, and forget them."""
        found = [one for one in self.heard if isinstance(one, messages.RO_ACCESS_REPORT)]
        self.heard = [one for one in self.heard if not isinstance(one, messages.RO_ACCESS_REPORT)]
        return found

    def reads(self) -> list[params.TagReportData]:
        return [read for report in self.reports() for read in report.tag_report_datas]

    def events(self, name: str) -> list:
        """Return what the events of a kind say, in order."""
        told = [
            one.reader_event_notification_data for one in self.heard if hasattr(one, "reader_event_notification_data")
        ]
        return [getattr(one, name) for one in told if getattr(one, name) is not None]


def _is_answer(message: LLRPMessage) -> bool:
    return not isinstance(message, messages.RO_ACCESS_REPORT | messages.READER_EVENT_NOTIFICATION | messages.KEEPALIVE)


def epc(read: params.TagReportData) -> bytes:
    found = read.epc_parameter.epc
    return found if isinstance(found, bytes) else found.data
