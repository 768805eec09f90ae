"""A price wave of 30 000 lines, from the bytes of the message to the last planned label, on a real disk with FULL sync.

Timed: parse and validate; accept and keep; turn every product (what is wanted, what the tills charge) and keep that;
with two labels bound to each tenth product. Also how long one step of the core blocks the event loop meanwhile.
Not a test: nothing fails here.
"""

import asyncio
import json
import random
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway import messages as m
from gateway.core import Core
from gateway.prices.pricing import Policy, Pricing
from gateway.prices.waves import check_digit, parse_part
from gateway.store.apply_prices import PriceTables, load
from gateway.store.journal import Journal
from gateway.store.store import Store

LINES = 30_000


class Clock:
    """The wall clock, trusted."""

    quality = "synced"

    def now(self) -> datetime:
        """Return UTC."""
        return datetime.now(UTC)


def gtin(number: int) -> str:
    body = f"0690{number:09d}"
    return f"{body}{check_digit(body + '0')}"


def payload(sequence: int, now: datetime) -> bytes:
    lines = [{"gtin": gtin(n), "price_minor": 100 + random.randrange(9900), "currency": "CNY"} for n in range(LINES)]
    head = {"id": f"bench-{sequence}", "kind": "change", "issued_at": now.isoformat(), "issuer": "bench"}
    times = {"effective_at": now.isoformat(), "sequence": sequence, "part": 1, "parts": 1}
    return json.dumps({**head, **times, "lines": lines}).encode()


async def wave(core: Core, pricing: Pricing, sequence: int) -> tuple[float, ...]:
    now = Clock().now()
    body = payload(sequence, now)
    start = time.perf_counter()
    part = parse_part(body, at=now, source="hq", trusted_now=now)
    assert isinstance(part, m.PricePart)
    parsed = time.perf_counter()
    await core.submit(part)
    kept = time.perf_counter()
    longest = 0.0
    while pricing.more:
        before = time.perf_counter()
        await core.emit(m.Tick(at=now, source=m.GATEWAY))
        longest = max(longest, time.perf_counter() - before)
    done = time.perf_counter()
    assert pricing.charge(gtin(0)) is not None
    return parsed - start, kept - parsed, done - kept, done - start, longest, len(body) / 2**20


async def measure(folder: Path) -> None:
    clock = Clock()
    store = Store(
        folder / "bench.db", store_id="1", gateway_id="gw1", clock=clock, projections=(Journal(), PriceTables())
    )
    await store.open()
    kept = await store.read(lambda db: load(db, clock.now()))
    pricing = Pricing(Policy("CNY", ZoneInfo("Asia/Shanghai")), kept)
    core = Core(store, (pricing,))
    runner = asyncio.create_task(core.run())
    now = clock.now()
    products = tuple(m.Product(gtin=gtin(n), name={"en": f"Product {n}"}) for n in range(LINES))
    await core.submit(m.ProductsUpdate(at=now, source="hq", sequence=1, full=True, products=products))
    bindings = tuple(m.Binding(label=f"{n:016X}", gtin=gtin(n // 2 * 10)) for n in range(LINES // 5))
    await core.submit(m.BindingsUpdate(at=now, source="hq", sequence=1, full=True, bindings=bindings))
    print(f"{LINES} lines, {len(bindings)} labels; seconds:")
    print("  parse   keep   turn   whole   longest step of the core   message MiB")
    for sequence in (1, 2, 3):
        p, k, t, whole, longest, size = await wave(core, pricing, sequence)
        print(f"  {p:5.2f}  {k:5.2f}  {t:5.2f}   {whole:5.2f}   {longest:24.3f}   {size:11.1f}")
    print(f"  peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    runner.cancel()
    await asyncio.gather(runner, return_exceptions=True)
    await store.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
