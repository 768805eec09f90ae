"""What one label's glass shows or could still come to show. Pure. The rule that uses it is `switch.py`.

A face is an entry from the moment it is *going* to be sent. It is `sent` while the access point that got it (`via`)
could still have it drawn, `settled` once it is on the glass already or never will be, `proven` when it was seen there.
A proof of revision r by an access point removes what that access point was given up to r, and what was out of the hands
of every other before r was sent. What another still holds stays, and what it gave up later too: nobody knows which was
drawn last. Order comes from revisions alone, because a wall clock may step back between two reports.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["sent", "settled", "proven"]


class Entry(NamedTuple):
    """One face that a label may show. `content` names what it says, `price_minor` None = a face without a price."""

    revision: int
    via: str
    gtin: str | None
    price_minor: int | None
    wave: str | None
    content: str
    state: State
    after: float = 0  # newest revision of the label when a report took it out of an access point's hands
    image: str = ""  # the access point's own name of the image when it was proven


@dataclass(slots=True)
class Glass:
    """One label: its binding, and every face that it may show."""

    label: str
    gtin: str | None = None
    facing: str | None = None
    bound_once: bool = False
    revision: int = 0
    entries: tuple[Entry, ...] = ()
    in_flight: int | None = None  # revision of the attempt under way; not kept: after a restart it is tried again
    doubted: bool = False  # proven once, but the access point reports something that may have changed the glass
    failures: int = 0
    trouble: str | None = None

    def prices(self, gtin: str) -> list[int]:
        """Return the prices of this product that the glass may show."""
        return [e.price_minor for e in self.entries if e.gtin == gtin and e.price_minor is not None]

    def gtins(self) -> set[str]:
        """Return the products that the glass may show a price of."""
        return {e.gtin for e in self.entries if e.gtin is not None}

    def proven(self, content: str) -> bool:
        """Tell whether the glass is proven to show this content and can show nothing else."""
        return not self.doubted and len(self.entries) == 1 and _seen(self.entries[0], content)

    def awaits_others(self, content: str, via: str) -> bool:
        """Tell whether the glass shows this, and only what other access points than `via` still hold is in doubt.

        A push by `via` could not settle that: it waits for the others to report, or for a person's sign-off.
        """
        on_glass = [e for e in self.entries if e.state != "sent"]
        others = all(e.via != via for e in self.entries if e.state == "sent")
        return not self.doubted and len(on_glass) == 1 and _seen(on_glass[0], content) and others

    def send(self, entry: Entry) -> None:
        """Note that a face is going to be sent."""
        self.entries = (*self.entries, entry)
        self.revision = self.in_flight = entry.revision

    def show(self, revision: int, via: str, image: str | None = None) -> bool:
        """Note that a face was proven. False: not one of ours (a late report from before a sign-off).

        A proof says nothing about what another access point may have drawn after it, even when it is heard later.
        """
        shown = next((e for e in self.entries if e.revision == revision and e.via == via), None)
        if shown is None:
            return False
        rest = tuple(e for e in self.entries if e is not shown and _outlives(e, shown))
        self.entries = (shown._replace(state="proven", after=self.revision, image=image or ""), *rest)
        if self.in_flight == revision:
            self.in_flight = None
        self.failures, self.trouble, self.doubted = 0, None, False
        return True

    def fail(self, revision: int, via: str, outcome: str, reason: str) -> None:
        """Note that an attempt ended without proof, or that a proven face came into doubt."""
        mine = [e for e in self.entries if e.revision == revision and e.via == via]
        if self.in_flight == revision:
            self.in_flight = None
        if mine and mine[0].state == "proven":
            self.doubted = True
        elif outcome == "never_sent":
            self.entries = tuple(e for e in self.entries if e not in mine)
        elif outcome == "settled":
            self.entries = tuple(self._settled(e) if e in mine else e for e in self.entries)
        if reason != "superseded":
            self.failures += 1
            self.trouble = reason

    def left(self, via: str) -> bool:
        """Note that `via` holds nothing any more: what it was given is on the glass or gone. False: no change."""
        before = self.entries
        self.entries = tuple(self._settled(e) if e.via == via and e.state == "sent" else e for e in before)
        if any(e.revision == self.in_flight and e.via == via for e in before):
            self.in_flight = None
        return self.entries != before

    def _settled(self, entry: Entry) -> Entry:
        return entry._replace(state="settled", after=self.revision)

    def doubt(self, reason: str) -> bool:
        """Note that something may have changed the glass. False: it was not proven anyway."""
        if self.doubted or all(e.state != "proven" for e in self.entries):
            return False
        self.doubted, self.trouble = True, reason
        return True

    def overwritten(self, via: str, image: str | None) -> bool:
        """Tell whether an access point names an image that is not the proven one: somebody else may have written it."""
        proven = next((e for e in self.entries if e.state == "proven"), None)
        if proven is None or image is None:
            return False
        return image != proven.image if proven.via == via and proven.image else proven.via != via

    def sign_off(self) -> None:
        """Forget all: a person has seen to it that this glass shows nothing any more."""
        self.entries, self.in_flight, self.doubted = (), None, False


def _seen(entry: Entry, content: str) -> bool:
    return entry.state == "proven" and entry.content == content


def _outlives(entry: Entry, shown: Entry) -> bool:
    if entry.revision > shown.revision:
        return True
    if entry.via == shown.via:
        return False  # it draws in the order in which it was given them
    return entry.state == "sent" or entry.after >= shown.revision
