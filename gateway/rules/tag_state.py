"""What is remembered of one tag, and what of one antenna. Plain state; the logic is in the other `tag_*.py`.

A tag that three antennas hear takes 1.2 kB. Nothing here is a read: an antenna leaves one mark on a tag, which fades.
"""

from gateway.rules.tag_chatter import DoorHabit
from gateway.rules.zones import Spot, ZoneKind
from gateway.tag_notes import PassageSoFar

FLOOR_WINDOW = 15  # rfid note, section 5: the window of a place is so many mean gaps of the tag
DOOR_WINDOW = 5  # at an exit: an item that leaves is not there for long
NO_FLOOR_CDBM = -100_000


class Ear:
    """One antenna that hears a zone. `active_us`: for how long its reader has been reading with it, last at `read_us`.

    `fade_gaps`: its marks fall to 1/e in so many gaps. Half a window, so that mean age and number of reads that count
    are those of a window with sharp ends. `gain` makes sums over windows of different length comparable.
    """

    __slots__ = (
        "active_us",
        "fade_gaps",
        "floor_cdbm",
        "gain",
        "is_door",
        "kind",
        "name",
        "offset_cdb",
        "outside",
        "read_us",
        "reader",
        "two_sided",
        "zone",
    )

    def __init__(self, reader: str, number: int, spot: Spot) -> None:
        zone = spot.zone
        self.reader, self.name = reader, f"{reader}:{number}"
        self.zone: str = zone.id
        self.kind: ZoneKind = zone.kind
        self.is_door, self.outside, self.two_sided = zone.kind == "exit", spot.outside, bool(zone.outside)
        self.floor_cdbm = NO_FLOOR_CDBM if spot.floor_cdbm is None else spot.floor_cdbm
        self.offset_cdb = spot.offset_cdb
        self.fade_gaps = (DOOR_WINDOW if self.is_door else FLOOR_WINDOW) / 2
        self.gain = FLOOR_WINDOW / 2 / self.fade_gaps
        self.active_us = self.read_us = 0


class Mark:
    """What one antenna heard of one tag: power (mW, fading), reads (fading), the tag's age and the antenna's time."""

    __slots__ = ("active_us", "age_gaps", "ear", "power", "reads")

    def __init__(self, ear: Ear, age_gaps: float) -> None:
        self.ear, self.age_gaps = ear, age_gaps
        self.power = self.reads = 0.0
        self.active_us = ear.active_us


class Tag:
    """One tag.

    `state` is one of those of `tag_notes.TagState`; or, only here in memory, `heard` (not believed yet), `visitor`
    (came in by a door and is nobody's goods) or `gone` (sold, and left).
    `age_gaps`: time in mean gaps, with long silences cut short; marks fade by it. `hearing_us`: a hearing began then.
    `since_us`: when it came, went, or (a sold one) may be forgotten. `indoors_us`: last read at no door.
    `watched`: it is among the deadlines. `inbound`: it came at goods in, and that it was received is not told yet.
    """

    __slots__ = (
        "age_gaps",
        "alarm",
        "epc",
        "gap_us",
        "gtin",
        "habit",
        "hearing_us",
        "hearings",
        "inbound",
        "indoors_us",
        "kept_gap_us",
        "last_us",
        "marks",
        "passage",
        "since_us",
        "state",
        "watched",
        "zone",
    )

    def __init__(self, epc: str, gtin: str | None, state: str, at_us: int, gap_us: float) -> None:
        self.epc, self.gtin, self.state = epc, gtin, state
        self.zone: str | None = None
        self.last_us = self.hearing_us = at_us
        self.indoors_us = self.since_us = 0
        self.gap_us, self.kept_gap_us, self.hearings = gap_us, gap_us, 1
        self.age_gaps = 0.0
        self.marks: list[Mark] = []
        self.alarm: str | None = None
        self.inbound = self.watched = False
        self.habit: DoorHabit | None = None
        self.passage: PassageSoFar | None = None
