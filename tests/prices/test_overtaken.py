"""A wave whose last waiting label is taken over by a newer wave is over, and says so."""

from gateway import messages as m
from tests.prices.world import GTINS, World


def test_a_wave_that_loses_its_last_waiting_label_to_a_newer_one_converges():
    world = World(1)
    world.settle()
    bound = dict.fromkeys(GTINS, 400)
    first = world.wave(bound)
    world.said.clear()
    second = world.wave(dict.fromkeys(GTINS, 500))
    assert [fact.wave for fact in world.said if isinstance(fact, m.WaveConverged)] == [first]
    world.settle()
    assert [fact.wave for fact in world.said if isinstance(fact, m.WaveConverged)] == [first, second]
