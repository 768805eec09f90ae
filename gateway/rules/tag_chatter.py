"""Tags that lie near a door: heard there again and again, they say nothing of leaving. Learnt, and forgotten again.

Time is cut into slots. A tag that was heard at the door in LEARNT of the last 64 is one of them; one that was heard in
less than two is none any more. Somebody may still carry it off: then the outer side hears it much louder than all the
while before, and that counts; also of a tag that is heard there for the first times and is not learnt yet. Where it is
asked: `exit_gate.py`.
"""

SLOT_US = 10_000_000
SLOTS = (1 << 64) - 1
LEARNT = 6  # a passage takes one slot or two; who waits at the door for a minute is told by the power
LOUDER_CDB = 600
SILENT_CDBM = -20_000
FADE_CDB = 50  # the loudest read counts less with every slot: who passed by inside may leave a little later


class DoorHabit:
    """How one tag is heard at a door. `loudest_cdbm` is what was heard before the last two slots."""

    __slots__ = ("_before_cdbm", "_now_cdbm", "_slot", "_slots_heard", "learnt", "loudest_cdbm")

    def __init__(self, loudest_cdbm: int | None = None) -> None:
        self.learnt = loudest_cdbm is not None
        self.loudest_cdbm = SILENT_CDBM if loudest_cdbm is None else loudest_cdbm
        self._now_cdbm = self._before_cdbm = SILENT_CDBM
        self._slot, self._slots_heard = 0, SLOTS if self.learnt else 0

    def hear(self, at_us: int, cdbm: int) -> bool:
        """Take a read at the door; return whether the tag was learnt or forgotten. `cdbm`: of the outer side."""
        slot = at_us // SLOT_US
        if slot > self._slot:
            passed = slot - self._slot if self._slot else 1  # restored: the time in between was not heard by anybody
            self._slots_heard = (self._slots_heard << passed) & SLOTS if passed < 64 else 0
            self._slots_heard |= 1
            self.loudest_cdbm = max(self.loudest_cdbm - FADE_CDB, self._before_cdbm)
            self._before_cdbm, self._now_cdbm, self._slot = self._now_cdbm, SILENT_CDBM, slot
        self._now_cdbm = max(self._now_cdbm, cdbm)
        was = self.learnt
        self.learnt = self._slots_heard.bit_count() >= (2 if was else LEARNT)
        return was != self.learnt

    def explains(self, loudest_cdbm: int) -> bool:
        """Tell whether a tag that has been there for a while may be heard so loud."""
        return loudest_cdbm < self.loudest_cdbm + LOUDER_CDB
