"""The code's decisions equal the specification's on its whole state space; each broken rule of it does harm."""

import pytest

from gateway.prices import switch
from gateway.prices.switch import CachingTill
from tests.prices import switch_model as model


def decisions(state):
    """What our code would do in this state of the model, in the model's words."""
    wanted, _, charge, (cache, sent, may), labels = state
    till = CachingTill(cache or None, sent or None, may)
    allowed = switch.charge_for(wanted, switch.lowest_shown(show for _, _, show, _ in labels))
    acts = set()
    if allowed != charge:
        acts.add(f"charge {allowed}")
    message = switch.till_message(allowed, till)
    if message is not None:
        acts.add(f"send {message}")
    highest = switch.highest_charged(charge, [till])
    for number, (_, flight, show, bound) in enumerate(labels):
        if bound and wanted not in flight and show != {wanted} and switch.may_push(wanted, highest):
            acts.add(f"push {number}")
    return acts


def test_decisions_equal_the_model_on_its_whole_state_space():
    seen, harmful = model.explore()
    assert harmful is None
    assert len(seen) == 81_862
    for state in seen:
        acts = {text for text, _ in model.steps(state) if text.startswith(("charge", "send", "push"))}
        assert decisions(state) == acts, state


@pytest.mark.parametrize("rule", [rule for rule in model.RULES if rule != "guards"])
def test_the_model_can_see_harm(rule):
    assert model.explore(rule)[1] is not None


def test_a_face_without_a_price_is_always_harmless():
    assert switch.may_push(None, 100)
    assert switch.may_push(5, None)
    assert not switch.may_push(99, 100)
