"""At no instant does a till charge more than a label shows: the real code against simulated access points."""

import asyncio
import os

import pytest

from gateway.prices import switch
from tests import virtual_time
from tests.prices.spread import spread
from tests.prices.twin import GTINS, Twin, open_twin

SCENARIOS = 1_000
SOAK_SCENARIOS = int(os.environ.get("AISLED_SCENARIOS", "50000"))


async def one_act(twin: Twin) -> None:  # noqa: C901, PLR0912 - a table of dice
    rng = twin.rng
    label, ap = twin.somewhere()
    dice = rng.random()
    if dice < 0.30:
        prices = {gtin: rng.choice((100, 200, 300)) for gtin in rng.sample(GTINS, rng.randint(1, len(GTINS)))}
        await twin.wave(prices, rng.choice((0, 0, 0, 30, 200)), rng.choice((None, None, None, 400)))
    elif dice < 0.35 and twin.waves:
        await twin.cancel(rng.choice(twin.waves[-2:]))
    elif dice < 0.43:
        await twin.bind(label, rng.choice((*GTINS, None)))
    elif dice < 0.50:
        await twin.kill()
    elif dice < 0.55:
        twin.fault(ap, "reboot_ap", crash=rng.random() < 0.5)
    elif dice < 0.62:
        twin.fault(ap, "reboot_tag", label, watchdog=rng.random() < 0.5)
    elif dice < 0.67:
        twin.fault(ap, "drop_ws", silent=rng.random() < 0.5)
    elif dice < 0.72:
        twin.fault(ap, "http_timeout_next")
    elif dice < 0.75:
        twin.fault(ap, "busy_409", 20)
    elif dice < 0.80:
        twin.fault(ap, "lose_xfc", label)
    elif dice < 0.84:
        twin.fault(ap, "lose_xfc_ack", label)
    elif dice < 0.87:
        twin.fault(ap, "radio_reset")
    elif dice < 0.90 and len(twin.aps) > 1:
        other = next(name for name in twin.aps if name != ap)
        twin.fault(ap, "roam", label, twin.aps[other])
    elif dice < 0.93:
        twin.fault(ap, "radio_loss", rng.choice((0, 0.2, 0.5)))
    elif dice < 0.96:
        twin.fault(ap, "wake_tag", label)
    elif label in twin.aps[ap].box.records:
        twin.fault(ap, "foreign_upload", label)
    await asyncio.sleep(rng.choice((0, 0.05, 1, 5, 20, 60, 200)))


async def converged(twin: Twin, limit_s: float) -> None:
    """The adversary goes home; every label must come to show what it should, and the tills with it."""
    for ap in twin.aps:
        twin.fault(ap, "radio_loss", 0.0)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while True:
        await asyncio.sleep(30)
        assert twin.gateway.failed() is None, twin.gateway.failed()
        wrong = twin.wrong()
        if not wrong:
            return
        assert loop.time() < deadline, wrong


async def scenario(seed: int) -> None:
    async with open_twin(seed) as twin:
        await asyncio.sleep(twin.rng.choice((1, 60)))
        for _ in range(twin.rng.randint(6, 16)):
            await one_act(twin)
            assert not twin.harm, twin.harm[0]
        await converged(twin, 6 * 3600)
        assert not twin.harm, twin.harm[0]
        assert await twin.journal_is_sound()


def play(seeds: range) -> None:
    for seed in seeds:
        virtual_time.run(lambda seed=seed: scenario(seed))


def test_no_interleaving_with_real_protocol_peers_charges_more_than_a_label_shows():
    spread(play, SCENARIOS)


@pytest.mark.soak
def test_many_more_interleavings_with_real_protocol_peers():
    spread(play, SOAK_SCENARIOS)


def test_a_clean_radio_needs_one_upload_a_label():
    async def quiet() -> None:
        async with open_twin(1, labels=8) as twin:
            for number, price in enumerate((100, 300, 200, 400), 1):
                await twin.wave(dict.fromkeys(GTINS, price))
                await converged(twin, 3600)
                assert twin.sent <= 1.05 * number * 8

    virtual_time.run(quiet)


def test_without_the_guard_the_twin_sees_harm(monkeypatch):
    monkeypatch.setattr(switch, "charge_for", lambda wanted, _lowest: wanted)
    with pytest.raises(AssertionError):
        play(range(30))


def test_what_somebody_else_wrote_while_the_gateway_was_off_is_pushed_over():
    async def main() -> None:
        async with open_twin(5, labels=2) as twin:
            for label in twin.names:
                await twin.bind(label, GTINS[0])
            await twin.wave({GTINS[0]: 300})
            await converged(twin, 3600)
            await twin.gateway.kill()
            for label in twin.names:
                ap = next(name for name, ap in twin.aps.items() if label in ap.tags)
                twin.fault(ap, "foreign_upload", label)
            await asyncio.sleep(600)
            assert None in {twin.shown(label) for label in twin.names}  # a picture that nobody here knows
            twin.gateway = twin.life(twin)
            await twin.gateway.start()
            await converged(twin, 3600)
            assert {twin.shown(label) for label in twin.names} == {(GTINS[0], 300)}

    virtual_time.run(main)
