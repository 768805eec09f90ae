"""Shoppers as data: what each one does at a till, step by step, written by hand or drawn from a seed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Tender = Literal["cash", "card", "mobile", "voucher", "other"]


@dataclass(frozen=True, slots=True)
class Article:
    """What a shopper may take from a shelf. `weight_mg` is of one piece; by weight: the till's scale weighs it."""

    gtin: str
    by_weight: bool = False
    weight_mg: int | None = None

    @property
    def scan(self) -> str:
        """Return what a scanner reads from it: EAN-13 where the number allows."""
        return self.gtin.removeprefix("0")


@dataclass(frozen=True, slots=True)
class Scan:
    """Scan a code; `weight_mg` puts it on the till's scale, `bag_mg` into the bagging area; `returned` gives back."""

    code: str
    quantity: int = 1
    weight_mg: int | None = None
    bag_mg: int | None = None
    returned: bool = False


@dataclass(frozen=True, slots=True)
class Void:
    """Have the n-th scan taken out, from 1."""

    scan: int


@dataclass(frozen=True, slots=True)
class Recount:
    """Change the quantity of the n-th scan, from 1."""

    scan: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Think, or chat."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Assist:
    """Need somebody, who comes after some seconds."""

    reason: str
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Fail:
    """Try to pay and fail."""

    reason: str = "declined"


@dataclass(frozen=True, slots=True)
class Pay:
    """Pay with several tenders; the last one takes what remains. Cash above what is due comes back as change."""

    tenders: tuple[tuple[Tender, int | None], ...] = (("card", None),)


@dataclass(frozen=True, slots=True)
class Leave:
    """Walk away from the basket."""

    reason: str = "left"


Step = Scan | Void | Recount | Wait | Assist | Fail | Pay | Leave


@dataclass(frozen=True, slots=True)
class Shopper:
    """One visit to a till. `pause_s` lies between the steps, `before_s` before the first."""

    steps: tuple[Step, ...]
    pause_s: float = 2.0
    before_s: float = 0.0


def last_item(article: Article) -> tuple[Shopper, Shopper]:
    """Return two shoppers who sell out the same last piece at the same moment, for two tills."""
    shopper = Shopper((Scan(article.scan), Pay()))
    return shopper, shopper


def random_shopper(rng: Random, articles: Sequence[Article], every_s: float = 60.0) -> Shopper:
    """Draw one: mostly one to eight items and a card, sometimes all that makes a cashier sigh."""
    steps: list[Step] = []
    for _ in range(min(8, 1 + int(rng.expovariate(0.35)))):
        steps.append(_scan(rng, rng.choice(articles)))
        scans = sum(isinstance(step, Scan) for step in steps)
        steps += _afterthoughts(rng, scans)
    steps += _ending(rng)
    return Shopper(tuple(steps), round(rng.uniform(1.0, 4.0), 3), round(rng.expovariate(1 / every_s), 3))


def _scan(rng: Random, article: Article) -> Scan:
    if article.by_weight:
        weight_mg = rng.randrange(80, 2500) * 1000
        return Scan(article.scan, weight_mg=weight_mg, bag_mg=weight_mg)
    quantity = rng.choices((1, 2, 3, 6), (85, 10, 3, 2))[0]
    bag_mg = None
    if article.weight_mg is not None:
        bag_mg = round(quantity * rng.gauss(article.weight_mg, 0.01 * article.weight_mg))
    return Scan(article.scan, quantity, bag_mg=bag_mg, returned=rng.random() < 0.02)


def _afterthoughts(rng: Random, scans: int) -> list[Step]:
    chance = rng.random()
    if chance < 0.04:
        return [Void(rng.randint(1, scans))]
    if chance < 0.08:
        return [Recount(rng.randint(1, scans), rng.randint(1, 4))]
    if chance < 0.10:
        return [Assist(rng.choice(("help", "age check", "scale")), round(rng.uniform(10, 60), 3))]
    return [Wait(round(rng.uniform(5, 40), 3))] if chance < 0.15 else []


def _ending(rng: Random) -> list[Step]:
    chance = rng.random()
    if chance < 0.05:
        return [Leave()]
    if chance < 0.10:
        return [Fail(), Pay((("mobile", None),))]
    if chance < 0.20:
        return [Pay((("voucher", 500), ("card", None)))]
    if chance < 0.35:
        return [Pay((("cash", 100_000),))]
    return [Pay((("card", None),))]
