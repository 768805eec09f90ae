"""What one unit of a product really weighs, learnt from baskets that were right.

Robust by construction: the last 64 weights of a product are kept, clusters clearly apart are packaging variants, what
stands alone is an outlier, and two or three units weighed as one are never a variant. While little is known, the
catalogue's weight plus an allowance for the package stands in.
Not here: which deltas to learn from (the caller: single units, and only where all else of the basket was right), and
what tolerance follows (`bagging_choices.py`).
"""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

MEMORY = 64  # weights kept of one product: enough for three variants, and a new package takes over within weeks
MAX_PRODUCTS = 100_000  # about 50 MB when all of them are full
MAX_WEIGHT_MG = 100_000_000  # no bag carries more; a heavier weight is a broken reading

MIN_SAMPLES = 3  # of a cluster before it is believed at all
MIN_VARIANT = 6  # of a second or third one, and at least a tenth of all: less is a few mistakes
MAX_VARIANTS = 3
VARIANT_RANGE = 1.5  # other packages of one GTIN differ by less: net content is the same
APART_MG = 5000  # clusters nearer than what a scale tolerates need not be told apart
APART_SD = 3.5
OUTLIER_SD = 4.0
MULTIPLES = (2, 3)  # weighed as one: a quantity, not a package
MULTIPLE_SLACK = 0.1

PACKAGE_PART = 0.04  # the catalogue mostly knows net weight; jars have more, bags less
PACKAGE_MG = 2000
PRIOR_SD_PART = 0.02  # within one product three of four have less (median 1.3 %, upper quartile 2.9 %)
PRIOR_SD_MG = 500
LEAST_SD_PART = 0.01
PRIOR_SAMPLES = 6  # how many weights the prior counts for


@dataclass(frozen=True, slots=True)
class Expected:
    """Weight of one unit: mean and sd in mg, from `n` weights. `others` are further packages of the same product."""

    mean_mg: int
    sd_mg: int
    n: int
    source: Literal["catalogue", "learnt", "weighed"]
    others: tuple["Expected", ...] = ()


@dataclass(frozen=True, slots=True)
class KeptWeight:
    """What must be stored of one product: its newest weights in mg, oldest first, at most 64."""

    gtin: str
    samples_mg: tuple[int, ...]


class LearntWeights:
    """Weights of all products. Same weights in another order give the same answer, unless some were forgotten."""

    def __init__(self, kept: Mapping[str, KeptWeight]) -> None:
        self._samples = {gtin: array("i", one.samples_mg[-MEMORY:]) for gtin, one in kept.items()}
        self._catalogue: dict[str, int] = {}

    def seed(self, gtin: str, weight_mg: int | None) -> None:
        """Take the catalogue's weight of a product (`Product.weight_mg`); null or 0 = it knows none."""
        if weight_mg:
            self._catalogue[gtin] = weight_mg
        else:
            self._catalogue.pop(gtin, None)

    def expect(self, gtin: str) -> Expected | None:
        """Return what one unit should weigh, None when nobody knows."""
        declared = self._catalogue.get(gtin)
        seed = None if declared is None else from_catalogue(declared)
        forms = _forms(sorted(self._samples.get(gtin, ())), None if seed is None else seed.mean_mg)
        if not forms:
            return seed
        main, *others = forms
        return Expected(main.mean_mg, main.sd_mg, main.n, "learnt", tuple(others))

    def learn(self, gtin: str, weight_mg: int) -> KeptWeight | None:
        """Take one unit's weight in; return what must be stored now, None when nothing changed."""
        known = gtin in self._samples
        if not 0 < weight_mg <= MAX_WEIGHT_MG or (not known and len(self._samples) >= MAX_PRODUCTS):
            return None
        samples = self._samples.setdefault(gtin, array("i"))
        samples.append(weight_mg)
        del samples[:-MEMORY]
        return KeptWeight(gtin, tuple(samples))


def from_catalogue(weight_mg: int) -> Expected:
    """Return what a product of this catalogue weight should weigh with its package."""
    allowance = PACKAGE_PART * weight_mg + PACKAGE_MG
    return Expected(round(weight_mg + allowance), round(allowance), 0, "catalogue")


def weighed(weight_mg: int, sd_mg: int) -> Expected:
    """Return the expectation of a piece that a till's own scale weighed, with that scale's sd."""
    return Expected(weight_mg, sd_mg, MEMORY, "weighed")


def _forms(samples: Sequence[int], seed_mg: int | None) -> list[Expected]:
    """Return the packages that sorted weights tell of, the commonest first. [] = too little is known."""
    clusters = [cluster for cluster in _clusters(samples) if len(cluster) >= MIN_SAMPLES]
    medians = [median(cluster) for cluster in clusters]
    units = [
        (cluster, middle)
        for cluster, middle in zip(clusters, medians, strict=True)
        if not any(_is_multiple(middle, one) for one in (*medians, *([] if seed_mg is None else [seed_mg])))
    ]
    if not units:
        return []
    units.sort(key=lambda unit: (-len(unit[0]), abs(unit[1] - (seed_mg or 0))))
    main = units[0][1]
    least = max(MIN_VARIANT, len(samples) / 10)
    others = [
        cluster
        for cluster, middle in units[1:]
        if len(cluster) >= least and max(middle / main, main / middle) <= VARIANT_RANGE
    ]
    return [_measure(cluster) for cluster in (units[0][0], *others[: MAX_VARIANTS - 1])]


def _clusters(samples: Sequence[int]) -> list[Sequence[int]]:
    """Split sorted weights at their widest gap, and again, while the gap is clear against the spread of both sides."""
    if len(samples) < 2:
        return [samples]
    gap, at = max((high - low, at) for at, (low, high) in enumerate(pairwise(samples), start=1))
    sides = samples[:at], samples[at:]
    if gap <= max(APART_MG, APART_SD * _spread(sides)):
        return [samples]
    return [cluster for side in sides for cluster in _clusters(side)]


def _spread(sides: Sequence[Sequence[int]]) -> float:
    """Return the sd within one package: of the calmer side, since the other may hold two packages."""
    sds = [_mad_sd(side) for side in sides if len(side) >= MIN_VARIANT]
    return max(min(sds, default=0.0), _least_sd(median(sides[-1])))


def _measure(cluster: Sequence[int]) -> Expected:
    """Return median and sd of one cluster. MAD says what is an outlier; the rest and a prior give the sd.

    MAD alone would be too rough: from 20 weights it errs by a quarter. The sd foretells the next weight, so it holds
    the uncertainty of the median too.
    """
    middle = median(cluster)
    reach = OUTLIER_SD * max(_mad_sd(cluster), _least_sd(middle))
    errors = [sample - middle for sample in cluster if abs(sample - middle) <= reach]
    prior = PRIOR_SD_PART * middle + PRIOR_SD_MG
    n = len(errors)
    variance = (PRIOR_SAMPLES * prior**2 + sum(error**2 for error in errors)) / (PRIOR_SAMPLES + n)
    return Expected(round(middle), round(math.sqrt(variance * (1 + 1.6 / n))), n, "learnt")


def _least_sd(weight_mg: float) -> float:
    """Return what the sd of a product is never below: some weights may be equal by chance."""
    return LEAST_SD_PART * weight_mg + PRIOR_SD_MG


def _mad_sd(samples: Sequence[int]) -> float:
    middle = median(samples)
    return 1.4826 * median(abs(sample - middle) for sample in samples)


def _is_multiple(weight_mg: float, unit_mg: float) -> bool:
    return any(abs(weight_mg - k * unit_mg) <= MULTIPLE_SLACK * k * unit_mg for k in MULTIPLES)
