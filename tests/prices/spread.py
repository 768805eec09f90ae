"""Plays many seeds on all cores: each worker takes a slice, the first failure comes back with its seed."""

import logging
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

SLICE = 100


def spread(play: Callable[[range], None], count: int) -> None:
    """Run `play(range)` over 0 .. count; `play` is a module's function, so that a worker can import it."""
    slices = [range(start, min(start + SLICE, count)) for start in range(0, count, SLICE)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=_quiet) as pool:
        for _ in pool.map(play, slices):
            pass


def _quiet() -> None:
    """What goes wrong in the simulated shops is the point; nobody reads its log."""
    logging.getLogger().setLevel(logging.CRITICAL)
