"""A till that sells from its cache, beside the abstract shop of `world.py`: its beliefs, and what is lost on the way.

It keeps its side of the contract and nothing more: it applies the feed in order, asks for a lease for the version that
it holds, counts the lease from before it asked, and asks per scan when it has none. Everything may be late or lost.
"""

from gateway import messages as m
from gateway.notes import LeaseKept


class CachingTill:
    """`lease`: it may sell from `cache`. `feed`: changes on their way. `answers`: grants on their way."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.cache, self.version, self.lease = {}, 0, False
        self.feed, self.answers = [], []

    def fetch(self):
        changes = [(gtin, one.price_minor, one.version) for gtin, one in self.world.board.changes(self.version)]
        self.feed.append((self.version, changes))

    def apply(self):
        """The feed arrives; one that was asked for at another version is thrown away."""
        asked, changes = self.feed.pop(0)
        if asked != self.version:
            return
        for gtin, price, version in changes:
            self.cache[gtin], self.version = price, version
        self.world.trace.append(f"{self.name} has {self.version}: {self.cache}")
        self.check()

    def ask(self):
        """Acknowledge and ask for a lease; the gateway hears it at once, its answer is on the way."""
        out = self.world.tell(m.TillLeased(at=self.world.now, source="tills", terminal=self.name, version=self.version))
        granted = any(isinstance(note, LeaseKept) for note in out)
        self.world.trace.append(f"{self.name} asks for {self.version}: {granted}")
        if granted:
            self.answers.append(self.version)

    def answer(self):
        """A grant arrives. One for an older cache is as good: the cache only moved on since."""
        self.answers.pop(0)
        self.lease = True
        self.check()

    def lapse(self):
        """The till's own time is over; it counted from before it asked, so no answer on its way helps it."""
        self.lease = False
        self.answers.clear()

    def over(self):
        """Then, and not earlier, the gateway's time is over."""
        self.lapse()
        self.world.trace.append(f"{self.name} lease over")
        self.world.tell(m.TillLeaseOver(at=self.world.now, source="tills", terminal=self.name))

    def check(self):
        if not self.lease:
            return
        for label, (gtin, price, _) in self.world.glass.items():
            charge = self.cache.get(gtin)
            assert price is None or charge is None or charge <= price, (
                self.world.seed,
                self.name,
                label,
                gtin,
                charge,
                price,
                self.world.trace[-40:],
            )

    def step(self, dice):
        """One thing that may happen."""
        acts = [self.fetch, self.ask, self.ask, self.over, self.lapse]
        acts += [self.apply] * 3 if self.feed else []
        acts += [self.answer] * 3 if self.answers else []
        acts += [self.feed.clear] if self.feed else []
        acts += [self.answers.clear] if self.answers else []
        dice.choice(acts)()
