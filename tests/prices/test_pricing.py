"""What Pricing says to orders: acceptance, refusals, order of waves, cancel, supersede, expiry, parts, persons."""

import pytest

from gateway import messages as m
from tests.prices.world import GTINS, World

A, B, C = GTINS


@pytest.fixture
def world():
    w = World(1)
    w.settle()
    return w


def kinds(out):
    return [type(message).__name__ for message in out if isinstance(message, m.Fact)]


def test_the_newest_sequence_in_force_wins_whatever_arrives_last(world):
    newer = world.head(sequence=200)
    older = world.head(sequence=150)
    world.send(newer, {A: 250})
    facts = world.send(older, {A: 111})
    assert world.pricing.wanted(A) == 250
    assert "stale" in next(f.reason for f in facts if isinstance(f, m.LineRefused))
    assert isinstance(facts[-1], m.WaveRefused)


def test_a_replayed_wave_is_a_no_op_and_a_reused_id_is_refused(world):
    head = world.head()
    world.send(head, {A: 250})
    assert world.send(head, {A: 250}) == []
    again = head.model_copy(update={"sequence": head.sequence + 5})
    (refusal,) = world.send(again, {A: 260})
    assert "used before" in refusal.reason
    assert world.pricing.wanted(A) == 250


def test_parts_in_any_order_are_applied_when_all_are_here_also_over_a_restart(world):
    head = world.head(parts=3).model_copy(update={"issuer": 'hq/"lines":[]'})
    assert world.send(head, {C: 33}, part=3) == []
    assert world.send(head, {A: 11}, part=1) == []
    assert world.send(head, {A: 11}, part=1) == []
    world.kill()
    assert world.pricing.wanted(A) == 300
    facts = world.send(head, {B: 22}, part=2)
    assert kinds(facts)[0] == "WaveAccepted"
    assert [world.pricing.wanted(g) for g in GTINS] == [11, 22, 33]


def test_waves_that_wait_for_parts_are_bounded(world):
    for _ in range(200):
        assert world.send(world.head(parts=2), {A: 11}) == []
    (refused,) = world.send(world.head(parts=2), {A: 11})
    assert "still wait for parts" in refused.reason


def test_an_expired_promotion_gives_the_price_before_back(world):
    world.wave({A: 200}, lasts_s=60)
    assert world.pricing.wanted(A) == 200
    world.tick(61)
    assert world.pricing.wanted(A) == 300


def test_a_scheduled_wave_waits_for_its_instant_and_a_cancel_takes_it_back(world):
    wave = world.wave({A: 200}, delay_s=60)
    world.wave({}, kind="cancel", supersedes=wave)
    world.tick(61)
    assert world.pricing.wanted(A) == 300


def test_a_cancel_after_the_instant_gives_the_price_before_back(world):
    wave = world.wave({A: 200})
    world.wave({}, kind="cancel", supersedes=wave)
    assert world.pricing.wanted(A) == 300


def test_a_cancel_that_comes_before_its_wave_still_holds(world):
    target = world.head(sequence=40)
    world.sequence = 50
    world.wave({}, kind="cancel", supersedes=target.id)
    world.send(target, {A: 200})
    world.tick(1)
    assert world.pricing.wanted(A) == 300


def test_superseding_replaces_a_scheduled_wave_as_a_whole(world):
    wave = world.wave({A: 200, B: 210}, delay_s=60)
    world.wave({A: 220}, delay_s=120, supersedes=wave)
    world.tick(61)
    assert (world.pricing.wanted(A), world.pricing.wanted(B)) == (300, 300)
    world.tick(61)
    assert (world.pricing.wanted(A), world.pricing.wanted(B)) == (220, 300)


def test_lines_are_refused_one_by_one_with_a_reason(world):
    head = world.head()
    unknown = "00000000000017"
    lines = (
        m.PriceLine(gtin=A, price_minor=100, currency="CNY"),
        m.PriceLine(gtin=unknown, price_minor=100, currency="CNY"),
        m.PriceLine(gtin=B, price_minor=100, currency="EUR"),
        m.PriceLine(gtin=A, price_minor=120, currency="CNY"),
    )
    facts = world.tell(m.PricePart(at=world.now, source="hq", wave=head, part=1, lines=lines))
    refused = {f.line: f.reason for f in facts if isinstance(f, m.LineRefused)}
    assert sorted(refused) == [1, 2, 3]
    assert "unknown product" in refused[1]
    assert "this shop sells in CNY" in refused[2]
    assert "twice" in refused[3]
    accepted = next(f for f in facts if isinstance(f, m.WaveAccepted))
    assert (accepted.lines, accepted.refused) == (1, 3)
    assert world.pricing.wanted(A) == 100


def test_an_absurd_change_is_refused_when_the_shop_wants_that():
    world = World(1, absurd_change_percent=50.0)
    facts = world.send(world.head(), {A: 30_000, B: 310})
    assert "allows 50 %" in next(f.reason for f in facts if isinstance(f, m.LineRefused))
    assert (world.pricing.wanted(A), world.pricing.wanted(B)) == (300, 310)


def test_a_late_wave_names_its_labels_and_clears_the_alarm_when_they_follow(world):
    wave = world.wave({A: 400, B: 400, C: 400})
    world.now += world.late
    facts = world.tick_facts()
    late = next(f for f in facts if isinstance(f, m.WaveExceptions))
    assert late.shown == 0
    assert {e.label for e in late.exceptions} == set(world.names)
    assert "no access point has heard" in late.exceptions[0].reason
    assert next(f for f in facts if isinstance(f, m.AlarmRaised)).alarm == f"wave-{wave}"
    assert world.tick_facts() == []
    world.settle()
    assert any(isinstance(f, m.AlarmCleared) and f.alarm == f"wave-{wave}" for f in world.said)


def test_a_rise_waits_for_proof_and_force_overrides_audited(world):
    world.wave({A: 400, B: 400, C: 400})
    bound = world.pricing.shelf.glass(world.names[0]).gtin
    assert world.pricing.charge(bound) == 300
    world.person_decides = True
    facts = world.command("force", gtin=bound)
    assert [type(f).__name__ for f in facts if isinstance(f, m.Fact)] == ["AuditEntry", "CommandDone", "PriceCharged"]
    assert world.pricing.charge(bound) == 400
    world.kill()
    assert world.pricing.charge(bound) == 400


def test_a_forced_price_ends_with_the_next_wave_also_over_a_restart(world):
    world.wave(dict.fromkeys(GTINS, 400))
    gtin = world.pricing.shelf.glass(world.names[0]).gtin
    world.person_decides = True
    world.command("force", gtin=gtin)
    world.settle()
    world.person_decides = False
    world.wave(dict.fromkeys(GTINS, 500))
    assert world.pricing.charge(gtin) == 400
    world.kill()
    assert world.pricing.charge(gtin) == 400
    world.settle()
    assert world.pricing.charge(gtin) == 500


def test_a_lost_label_holds_the_price_until_a_person_signs_it_off(world):
    label = world.names[0]
    gtin = world.pricing.shelf.glass(label).gtin
    for name in world.names[1:]:
        world.bind(name, None)
    world.settle(without=label)
    world.wave({gtin: 400})
    world.settle(without=label)
    assert world.pricing.charge(gtin) == 300
    world.person_decides = True
    world.command("sign_off", label=label)
    assert world.pricing.charge(gtin) == 400


@pytest.mark.parametrize(
    ("name", "args", "reason"),
    [
        ("sign_off", {"label": "FFFFFFFFFFFFFFFF"}, "args.label"),
        ("sign_off", {"label": ["x"]}, "args.label"),
        ("force", {"gtin": {}}, "args.gtin"),
        ("force", {}, "args.gtin"),
        ("fly", {}, "unknown command"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(world, name, args, reason):
    (refused,) = [f for f in world.command(name, **args) if isinstance(f, m.Fact)]
    assert isinstance(refused, m.CommandRefused)
    assert reason in refused.reason


def test_a_repeated_command_is_carried_out_once(world):
    assert kinds(world.command("ping", id_="c1")) == ["CommandDone"]
    assert world.command("ping", id_="c1") == []
    world.kill()
    assert world.command("ping", id_="c1") == []


def test_older_master_data_never_overwrites_newer(world):
    new = m.Product(gtin=A, name={"en": "New"})
    old = m.Product(gtin=A, name={"en": "Old"})
    world.tell(m.ProductsUpdate(at=world.now, source="hq", sequence=9, full=False, products=(new,)))
    world.tell(m.ProductsUpdate(at=world.now, source="hq", sequence=8, full=False, products=(old,)))
    assert world.pricing.shelf.product(A).name == {"en": "New"}
    world.kill()
    assert world.pricing.shelf.product(A).name == {"en": "New"}


def test_a_full_list_of_bindings_unbinds_the_others(world):
    keep, *others = world.names
    world.sequence += 1
    binding = m.Binding(label=keep, gtin=A)
    facts = world.tell(
        m.BindingsUpdate(at=world.now, source="hq", sequence=world.sequence, full=True, bindings=(binding,))
    )
    unbound = {f.label for f in facts if isinstance(f, m.LabelBound) and f.gtin is None}
    assert unbound == set(others)
