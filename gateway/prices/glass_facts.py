"""What happens to labels' glasses: leave to push a face, proofs, failures, doubts, orders of persons. Pure.

What a glass may show is `glass.py`'s, what the tills make of it `shop.settle`. Who pushes: `labels.py`.
"""

from gateway import messages as m
from gateway.prices import convergence, persons, switch
from gateway.prices.glass import Entry
from gateway.prices.shop import Shop, glass_kept

HELD = "waits for a till that may still charge more from its cache"


class GlassFacts:
    """Handles what is said of labels."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def show_face(self, ask: m.ShowFace) -> list[m.Message]:
        """Give leave to push a face, by the switch; nothing = no."""
        shelf = self._shop.shelf
        wish = shelf.wish(ask.label, ask.source)
        glass = shelf.glass(ask.label)
        if wish is None or wish.content.key != ask.content or ask.revision != glass.revision + 1:
            shelf.mark(ask.label)
            return []
        highest = None if ask.gtin is None else self._shop.till.highest(ask.gtin)
        if not switch.may_push(ask.price_minor, highest):
            glass.trouble = HELD
            return []
        before = glass.gtins()
        glass.trouble = None if glass.trouble == HELD else glass.trouble
        glass.send(Entry(ask.revision, ask.source, ask.gtin, ask.price_minor, ask.wave, ask.content, "sent"))
        shelf.index(glass, before)
        return [m.LabelSent.of(ask, ask.at, ask.source), glass_kept(glass, ask.at)]

    def shown(self, fact: m.LabelShown) -> list[m.Message]:
        """Follow a proof."""
        glass = self._shop.shelf.glass(fact.label)
        before = glass.gtins()
        shown = glass.show(fact.revision, fact.source, fact.image)
        return self._shop.settle(glass, before, fact.at) if shown else []

    def failed(self, fact: m.LabelFailed) -> list[m.Message]:
        """Follow a failure."""
        glass = self._shop.shelf.glass(fact.label)
        before = glass.gtins()
        glass.fail(fact.revision, fact.source, fact.outcome, fact.reason)
        return self._shop.settle(glass, before, fact.at)

    def left(self, reading: m.LabelLeft) -> list[m.Message]:
        """Note that an access point holds nothing for the label any more."""
        if not self._shop.shelf.knows(reading.label):
            return []
        glass = self._shop.shelf.glass(reading.label)
        return self._shop.settle(glass, glass.gtins(), reading.at) if glass.left(reading.source) else []

    def doubted(self, reading: m.LabelDoubted) -> list[m.Message]:
        """Note that something may have changed the glass."""
        if not self._shop.shelf.knows(reading.label):
            return []
        glass = self._shop.shelf.glass(reading.label)
        return self._shop.settle(glass, glass.gtins(), reading.at) if glass.doubt(reading.reason) else []

    def seen(self, reading: m.LabelSeen) -> list[m.Message]:
        """Note that a label is heard; at first, whether somebody else wrote on it while we were away."""
        shelf = self._shop.shelf
        first = reading.label not in shelf.seen
        shelf.seen.add(reading.label)
        if not first or not shelf.knows(reading.label):
            return []
        glass = shelf.glass(reading.label)
        wrong = glass.overwritten(reading.source, reading.image) and glass.doubt("foreign_write")
        return self._shop.settle(glass, glass.gtins(), reading.at) if wrong else []

    def face_refused(self, fact: m.FaceRefused) -> list[m.Message]:
        """Note why a face cannot be drawn."""
        self._shop.shelf.glass(fact.label).trouble = fact.reason
        return []

    def ordered(self, request: m.Request) -> list[m.Message]:
        """Carry out a person's `sign_off` or `refresh`."""
        shop = self._shop
        glass = shop.shelf.glass(str(request.args["label"]))
        before = glass.gtins()
        left: list[m.Message] = []
        if request.name == "sign_off":
            glass.sign_off()
            wave = shop.schedule.waves.of(glass.label)
            shop.schedule.waves.assign(glass.label, None, proven=False)  # no wave waits for it any more
            left = convergence.converged(wave, shop.schedule, request.at)
        else:
            glass.doubted, glass.failures = True, 0
        return [*persons.audited(request, glass.label), *shop.settle(glass, before, request.at), *left]
