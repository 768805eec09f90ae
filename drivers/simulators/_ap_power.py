"""Boot, reboot, crash, nightly reboot and the saving of the database: what survives and what does not (T4)."""

from drivers.simulators._ap_box import INIT, RUN, STOP, Box
from drivers.simulators._ap_content import Content
from drivers.simulators._ap_record import Record

SAVE_S = 300.0
NIGHT_S = (3 * 60 + 56) * 60
NIGHT_UPTIME_S = 2 * 3600.0


class Power:
    """Life and death of one access point."""

    def __init__(self, box: Box, content: Content) -> None:
        self._box = box
        self._content = content
        self._saved: dict[str, Record] = {}
        self._life = 0

    def start(self) -> None:
        """Begin the clocks; the box is up already."""
        self.save()
        self._box.timeline.after(SAVE_S, self._save_again)
        self.plan_night()

    def save(self) -> None:
        """Write the database to flash: this is what a crash leaves."""
        self._saved = {mac: record.copy() for mac, record in self._box.records.items()}

    def _save_again(self) -> None:
        if self._box.up and self._box.run_state != STOP:
            self.save()
        self._box.timeline.after(SAVE_S, self._save_again)

    def plan_night(self) -> None:
        """Look again at 03:56 of the box's own clock; also after the clock was set."""
        box = self._box
        of_day = (box.clock() + box.config.utc_offset_s) % 86_400
        wait_s = (NIGHT_S - of_day) % 86_400 * box.config.speed
        self._life += 1
        box.timeline.after(max(wait_s, 1.0), self._night, self._life)

    def _night(self, life: int) -> None:
        if life != self._life:
            return
        box = self._box
        if box.up and box.settings["nightlyreboot"] == 1 and box.timeline.now_s - box.booted_at_s > NIGHT_UPTIME_S:
            box.error("REBOOTING")
            box.run_state = STOP
            box.timeline.after(5.0, self._graceful)
        box.timeline.after(60.0 * box.config.speed, self._tomorrow, life)

    def _tomorrow(self, life: int) -> None:
        if life == self._life:
            self.plan_night()

    def reboot(self) -> None:
        """Restart as a client asked: the database is saved, the queue is not."""
        if not self._box.up:
            return
        self._box.error("REBOOTING")
        self._graceful()

    def _graceful(self) -> None:
        for record in self._box.records.values():
            if record.pending > 0:
                record.filename, record.nextupdate = "", 0.0
        self.save()
        self.crash()

    def crash(self) -> None:
        """Restart without a word: what was not saved is lost, up to five minutes of it."""
        box = self._box
        if not box.up:
            return
        box.up = False
        box.hang_up()
        box.queue.clear()
        box.radio.reset()
        box.files = {name: data for name, data in box.files.items() if not _is_wiped(name)}
        box.timeline.after(box.config.boot_s, self._boot)

    def _boot(self) -> None:
        box = self._box
        box.up, box.run_state, box.booted_at_s = True, INIT, box.timeline.now_s
        box.last_millis, box.sys_full_at_s = 0, 0.0
        box.radio.reset()
        box.records = {mac: record.copy() for mac, record in self._saved.items()}
        for record in box.records.values():
            record.pending, record.idle_s, record.filename = 0, 0.0, ""
            if record.nextcheckin < box.clock():
                record.nextcheckin = box.later(60)
        box.timeline.after(box.config.warm_up_s, self._run, box.booted_at_s)

    def _run(self, booted_at_s: float) -> None:
        box = self._box
        if box.up and box.booted_at_s == booted_at_s and box.run_state == INIT:
            box.log("starting content generation")
            box.run_state = RUN
            self._content.wake()


def _is_wiped(name: str) -> bool:
    return name.startswith("/temp/") or name.endswith(".pending")
