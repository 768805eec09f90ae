"""One shopper after the other at one till: plays their steps, asks for prices, re-prices down before payment.

The waits between steps are people's, so `speed` shortens them, and them alone: deadlines and leases stay as they are.
"""

import asyncio

from drivers.simulators import _till_wire as wire
from drivers.simulators._till_link import Away, Link
from drivers.simulators._till_machine import TillMachine
from drivers.simulators._till_prices import NoPrice, Prices
from drivers.simulators._till_shopper import (
    Assist,
    Fail,
    Leave,
    Pay,
    Recount,
    Scan,
    Shopper,
    Step,
    Tender,
    Void,
    Wait,
)
from drivers.simulators._till_truth import Ledger

VERIFY_S = 1.0  # the gateway's budget is 150 ms; a shopper waits no longer than this
A_KILO_MG = 1_000_000  # what is put on the scale when a script does not say how much


class Lane:
    """The place in front of one till."""

    def __init__(self, machine: TillMachine, prices: Prices, link: Link, ledger: Ledger, speed: float = 1.0) -> None:
        self._machine, self._prices, self._link = machine, prices, link
        self._ledger, self._speed = ledger, speed
        self._lines: list[int | None] = []

    async def serve(self, shopper: Shopper) -> None:
        """Let one shopper do all that the script says; whoever has not paid then has left."""
        self._lines = []
        self._machine.open()
        for step in shopper.steps:
            await self.wait(shopper.pause_s)
            await self._do(step)
            if self._machine.basket is None:
                return
        self._machine.abandon("left")

    async def wait(self, seconds: float) -> None:
        """Let people take their time."""
        await asyncio.sleep(seconds / self._speed)

    async def _do(self, step: Step) -> None:
        match step:
            case Scan():
                await self._scan(step)
            case Void(scan=scan):
                self._void(scan)
            case Recount(scan=scan, quantity=quantity):
                self._recount(scan, quantity)
            case Wait(seconds=seconds):
                await self.wait(seconds)
            case Assist(reason=reason, seconds=seconds):
                await self._assist(reason, seconds)
            case Fail(reason=reason):
                self._fail(reason)
            case Pay(tenders=tenders):
                await self._pay(tenders)
            case Leave(reason=reason):
                self._machine.abandon(reason)

    async def _scan(self, step: Scan) -> None:
        self._lines.append(None)
        try:
            quote = await self._prices.of(step.code)
        except NoPrice:
            await self._assist("no price", 30.0)
            return
        if quote is None:
            await self._assist("not for sale", 10.0)
            return
        weight_mg = step.weight_mg
        if quote.by_weight and quote.weight_mg is None:
            weight_mg = weight_mg or A_KILO_MG
        quantity = 1 if weight_mg is not None else step.quantity
        line = self._machine.scan(step.code, quote, quantity=quantity, weight_mg=weight_mg, returned=step.returned)
        self._lines[-1] = line.number
        if step.bag_mg is not None and not step.returned:
            self._machine.bag(step.bag_mg)

    def _line(self, scan: int) -> int | None:
        """Return the line of the n-th scan; None when it was not sold or is out again."""
        number = self._lines[scan - 1] if 1 <= scan <= len(self._lines) else None
        basket = self._machine.basket
        if number is None or basket is None or basket.lines[number - 1].voided:
            return None
        return number

    def _void(self, scan: int) -> None:
        number = self._line(scan)
        if number is not None:
            self._machine.void(number)

    def _recount(self, scan: int, quantity: int) -> None:
        """Change a quantity, except of what was weighed: that cannot be counted."""
        number, basket = self._line(scan), self._machine.basket
        if number is not None and basket is not None and basket.lines[number - 1].weight_mg is None:
            self._machine.recount(number, quantity)

    async def _assist(self, reason: str, seconds: float) -> None:
        self._machine.assist(reason)
        await self.wait(seconds)
        self._machine.assisted(reason)

    def _fail(self, reason: str) -> None:
        basket = self._machine.basket
        if basket is not None and basket.open_lines():
            self._machine.start_payment()
            self._machine.fail_payment(reason)

    async def _pay(self, tenders: tuple[tuple[Tender, int | None], ...]) -> None:
        basket = self._machine.basket
        if basket is None or not basket.open_lines():
            self._machine.abandon("nothing to pay")
            return
        if basket.bag_mg:
            self._ledger.judge(await self._verify(basket.id))
        await self._price_again()
        due = self._machine.start_payment()
        for tender, minor in payments(due, tenders):
            self._machine.pay(tender, minor)
        self._machine.close()

    async def _price_again(self) -> None:
        """Take over what became cheaper since the scan: a customer pays no more than the shelf says now."""
        assert self._machine.basket is not None
        lines = self._machine.basket.open_lines()
        for line, quote in zip(lines, await self._prices.again([line.scan for line in lines]), strict=True):
            if quote is not None:
                self._machine.reprice(line.number, quote)

    async def _verify(self, basket: str) -> str:
        """Ask whether the bag fits. Whatever comes of it, the shopper may pay: it fails open."""
        path = wire.verify_path(self._machine.terminal)
        try:
            answer = await self._link.request("POST", path, wire.verify_body(basket), VERIFY_S)
            return wire.read_verdict(answer.body) if answer.status == 200 else "silent"
        except (Away, wire.BadAnswer):
            return "silent"


def payments(due_minor: int, tenders: tuple[tuple[Tender, int | None], ...]) -> list[tuple[Tender, int]]:
    """Return what is paid how, change included; it adds up to what is due. The last tender takes what remains."""
    paid: list[tuple[Tender, int]] = []
    left = due_minor
    for tender, wanted in tenders:
        too_much = wanted is None or left <= 0 or (wanted > left and tender != "cash")
        paid.append((tender, left if wanted is None or too_much else wanted))
        left -= paid[-1][1]
        if left <= 0:
            break
    if left:
        paid.append(("cash" if left < 0 else tenders[-1][0], left))
    return paid
