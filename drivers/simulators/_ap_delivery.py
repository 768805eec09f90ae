"""The application's side of the air: queue, announcements, block requests, "transfer complete" and "timed out".

Its mistakes are on purpose, they are the firmware's (see the trap numbers): the queue never replaces (T2), clearing it
leaves the radio's slot (T3), a block request for something else clears everything (T3b), "complete" names no version
and is credited to the first item (T3c, T7). Not here: pictures (`_ap_content.py`), the tags (`_ap_tag.py`).
"""

from dataclasses import dataclass, replace

from drivers.simulators._ap_box import INIT, STOP, Box, Pending
from drivers.simulators._ap_radio import COMMAND, NO_UPDATE, SECONDS, Announcement
from drivers.simulators._ap_record import NEVER, Record

BLOCK_BYTES = 4096
FIRST_BOOT, WATCHDOG = 0xFC, 0xFE
REMOTE = 12  # contentMode of a tag that another access point serves
DEEP_SLEEP = 3
COMMANDS = {"reboot": 0, "scan": 1, "reset": 2, "deepsleep": DEEP_SLEEP, "ledflash": 4}
IDLE_LOOK_S = 31.0  # after a check-in the content runner sees that the tag could sleep longer


@dataclass(frozen=True, slots=True)
class Report:
    """What a tag tells of itself, every five minutes and after a boot."""

    hw_type: int
    rssi: int
    lqi: int
    temperature: int
    battery_mv: int
    wakeup_reason: int
    capabilities: int
    version: int
    channel: int = 11


class Delivery:
    """Queue and radio of one access point."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.neighbours: list[Delivery] = []
        box.radio.on_timeout = self.timed_out

    # what the application wants to send

    def enqueue(self, record: Record, announcement: Announcement, data: bytes) -> None:
        """Append to the tag's queue (T2: nothing is ever replaced) and announce the first item."""
        box = self.box
        box.queue.setdefault(record.mac, []).append(Pending(announcement, record.filename, data))
        record.pending = len(box.queued(record.mac))
        if not record.isexternal:
            self.announce_first(record.mac)
        for neighbour in self.neighbours if record.isexternal else ():
            neighbour.fetched(announcement, data)

    def announce_first(self, mac: str) -> None:
        """Put the oldest item into the radio's slot."""
        queued = self.box.queued(mac)
        if not queued:
            return
        if len(queued) > 1:
            queued[0].announcement = replace(queued[0].announcement, next_checkin=SECONDS | 5)
        self.box.radio.announce(queued[0].announcement)

    def command(self, mac: str, number: int, payload: bytes = bytes(12)) -> None:
        """Queue a command; its payload poses as version and size (so it ends up in `hash`: T7)."""
        record = self.box.records[mac]
        record.pending += 1
        self.box.say_tag(mac)
        size = int.from_bytes(payload[8:12], "little")
        self.enqueue(record, Announcement(mac, COMMAND, payload[:8], size, argument=number), b"")

    def clear(self, mac: str) -> None:
        """Empty the application's queue. The radio still announces what it has (T3)."""
        self.box.queue.pop(mac, None)
        record = self.box.records.get(mac)
        if record is not None:
            record.filename, record.pending = "", 0
            self.box.say_tag(mac)

    def cancel(self, mac: str) -> None:
        """Empty queue and slot."""
        self.box.radio.cancel(mac)
        if mac not in self.box.records:
            if not self.box.settings["lock"]:
                self.box.error("Tag not found, this shouldn't happen.")
            return
        self.clear(mac)

    # what tags say

    def checked_in(self, mac: str, report: Report | None) -> None:
        """Note that a tag asks for news; the radio has answered already. `report` None = the short form."""
        box = self.box
        if box.run_state == STOP:
            return
        record = box.records.get(mac) or self._admitted(mac, report)
        if record is None:
            return
        self._local(record)
        self._expect(record)
        record.lastseen = box.clock()
        if report is not None:
            self._learn(record, report)
        self.announce_first(mac)
        self._deep_sleep_delivered(record)
        box.say_tag(mac)
        for neighbour in self.neighbours:
            neighbour.heard_elsewhere(box, record, report)
        if not box.keeps_awake() and record.pending == 0:
            box.timeline.after(IDLE_LOOK_S, self._idle_look, mac)

    def _admitted(self, mac: str, report: Report | None) -> Record | None:
        """Take in an unknown tag, unless `lock` says no (T13)."""
        lock = self.box.settings["lock"]
        booting = report is not None and report.wakeup_reason == FIRST_BOOT
        if lock == 1 or (lock == 2 and not booting):
            return None
        return self.box.records.setdefault(mac, Record(mac))

    def _local(self, record: Record) -> None:
        if record.isexternal:
            self.box.log(f"moved AP from external to local {record.mac}")
            record.isexternal = False
        record.apip = "0.0.0.0"  # noqa: S104 (the protocol's "no address"; nothing listens)

    def _expect(self, record: Record) -> None:
        soon = self.box.later(60)
        if record.idle_s == 0 or self.box.queued(record.mac):
            if record.nextcheckin < soon or record.nextcheckin == NEVER:
                record.nextcheckin = soon
        else:
            record.nextcheckin = self.box.later(record.idle_s)
        record.idle_s = 0.0

    def _learn(self, record: Record, report: Report) -> None:
        if report.wakeup_reason >= 0xE0 and record.pending == 0:  # T5: what it shows is unknown from now on
            record.nextupdate, record.hash = 0.0, bytes(16)
        record.lqi, record.rssi = report.lqi, report.rssi
        record.temperature, record.battery_mv = report.temperature, report.battery_mv
        record.hw_type, record.wakeup_reason = report.hw_type, report.wakeup_reason
        record.capabilities, record.version, record.channel = report.capabilities, report.version, report.channel

    def _deep_sleep_delivered(self, record: Record) -> None:
        queued = self.box.queued(record.mac)
        if not queued or queued[0].announcement.kind != COMMAND or queued[0].announcement.argument != DEEP_SLEEP:
            return
        queued.pop(0)
        record.pending, record.nextcheckin = len(queued), NEVER
        self.box.radio.cancel(record.mac)

    def _idle_look(self, mac: str) -> None:
        """Order a long sleep when nobody listens and nothing is to be sent."""
        box, record = self.box, self.box.records.get(mac)
        if record is None or not box.up or box.run_state in (STOP, INIT) or box.keeps_awake():
            return
        if record.pending or record.idle_s or not box.later(-10) < record.nextcheckin < box.later(30):
            return
        minutes = int(min(box.until_epoch_s(record.nextupdate) / 60, box.settings["maxsleep"]))
        if box.asleep():
            minutes = max(minutes, self._minutes_to_morning() - 2)
        if minutes > 1:
            record.idle_s = minutes * 60.0
            record.nextcheckin = box.later(record.idle_s)
            if not record.isexternal:
                attempts = 10 + int(box.settings["maxsleep"])
                box.radio.announce(Announcement(mac, NO_UPDATE, bytes(8), 0, next_checkin=minutes, attempts=attempts))

    def _minutes_to_morning(self) -> int:
        of_day = int(self.box.clock() + self.box.config.utc_offset_s) % 86_400
        return (int(self.box.settings["sleeptime2"]) * 3600 - of_day) % 86_400 // 60

    def block(self, mac: str, version: bytes, number: int) -> bytes | None:
        """Give a tag a block. None = it is not of what is queued: everything queued for the tag is dropped (T3b)."""
        if self.box.run_state == STOP:
            return None
        item = next((one for one in self.box.queued(mac) if one.announcement.version == version), None)
        if item is None or not item.data:
            self.cancel(mac)
            return None
        total = -(-len(item.data) // BLOCK_BYTES)
        number = min(number, total - 1)
        data = item.data[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        if self.box.listeners:
            checksum = sum(data) & 0xFFFF
            tail = f"block {number}, len {len(data)} checksum {checksum}"
            self.box.log(f"{mac} block request {item.filename} {tail}")
            self.box.say({"upload": {"src": mac, "current": number + 1, "total": total}})
        return data

    def completed(self, mac: str, *, local: bool = True) -> None:
        """Credit a "complete", which names no version, to the first item (T3c); with none, noise becomes `hash`."""
        box = self.box
        if box.run_state == STOP:
            return
        box.log(f"{mac} reports xfer complete\r\n")
        queued = box.queued(mac)
        digest = box.rng.randbytes(16)
        if queued:
            item = queued.pop(0)
            digest = item.announcement.version + bytes(8)
            self._file_away(mac, item)
        record = box.records.get(mac)
        if record is not None:
            record.filename, record.hash = "", digest
            record.updatecount += 1
            record.updatelast = box.clock()
            record.pending, record.wakeup_reason = len(queued), 0
        if local:
            self.announce_first(mac)
        box.say_tag(mac)
        for neighbour in self.neighbours if local else ():
            neighbour.completed_elsewhere(mac)

    def _file_away(self, mac: str, item: Pending) -> None:
        data = self.box.files.pop(item.filename, None)
        if data is not None:
            self.box.files.pop(f"/current/{mac}.raw", None)
            if self.box.settings["preview"]:
                self.box.files[f"/current/{mac}.raw"] = data

    def timed_out(self, mac: str) -> None:
        """Drop all that is queued: the radio gave up after 20 minutes of silence (T6).

        The firmware forgets to count anew here: `pending` goes on saying what is no longer queued.
        """
        box = self.box
        if box.run_state == STOP or not box.up:
            return
        box.error(f"< {mac} xfer timeout\r\n")
        box.queue.pop(mac, None)
        record = box.records.get(mac)
        if record is not None:
            record.idle_s, record.filename = 60.0, ""
        box.say_tag(mac)

    # what neighbouring access points say (T12)

    def heard_elsewhere(self, other: Box, theirs: Record, report: Report | None) -> None:
        """Note that a neighbour hears a tag: it is external now, and the neighbour's if that has content for it."""
        box, mac = self.box, theirs.mac
        record = box.records.get(mac) or self._admitted(mac, report)
        if record is None or not box.up:
            return
        if not record.isexternal:
            box.log(f"moved AP from local to external {mac}")
            record.isexternal = True
        record.apip = other.config.ip
        self._expect(record)
        record.lastseen = box.clock()
        if report is not None:
            self._learn(record, report)
        if REMOTE not in (record.contentmode, theirs.contentmode) and theirs.contentmode:
            box.log(f"Remote AP at {other.config.ip} takes control over tag {mac}")
            record.contentmode = REMOTE
        box.say_tag(mac)

    def fetched(self, announcement: Announcement, data: bytes) -> None:
        """Queue an item that a neighbour has for a tag in our reach."""
        record = self.box.records.get(announcement.mac)
        if record is None or record.isexternal or not self.box.up:
            return
        if data:
            record.filename = f"/current/{record.mac}_{self.box.millis() % 1_000_000}.pending"
            self.box.files[record.filename] = data
        if record.contentmode:
            record.contentmode = REMOTE
        self.enqueue(record, announcement, data)
        self.box.say_tag(record.mac)

    def completed_elsewhere(self, mac: str) -> None:
        """Credit our own item for a tag that is complete at a neighbour."""
        record = self.box.records.get(mac)
        if self.box.up and record is not None and record.isexternal:
            self.completed(mac, local=False)
