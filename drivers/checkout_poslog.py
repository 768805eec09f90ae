"""Sales documents (ARTS POSLog 2.x, OMG 6) that tills leave in a folder.

Each `*.xml` that has stopped growing is read in pieces and its transactions are kept; then the file is moved to `done/`
or, when not all of it could be taken, to `refused/` with the reason beside it. A kill in between is harmless: what is
known already is a repeat, by store, workstation, business day and sequence. Documents are never changed or deleted.
Grade: simulated (our own documents, after the layout of real ones). Not here: the reading (`_poslog.py`), documents
that are sent over HTTP (`checkout_http.py`).
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import Field

from drivers._poslog import PoslogParser
from drivers._poslog_batch import batches
from drivers._poslog_sales import as_message
from drivers._poslog_types import PosTransaction
from gateway.driver import DeviceConfig, Emit, Services, ShopFacts, Tills
from gateway.errors import ConfigError, DeviceError
from gateway.messages import PoslogImported

PIECE_BYTES = 64 * 1024
NAMED = 20  # elements that were not understood, at most


class Config(DeviceConfig):
    """Where the documents are."""

    folder: Path = Field(
        description="folder that tills write to; done/ and refused/ are made in it", examples=["/var/lib/aisled/poslog"]
    )
    look_s: float = Field(default=5, ge=0.1, le=3600, description="seconds between two looks at the folder")


@dataclass
class _Tally:
    transactions: int = 0
    duplicates: int = 0
    refused: int = 0
    lines: int = 0
    first: str | None = None

    def refuse(self, reason: str) -> None:
        self.refused += 1
        self.first = self.first or reason


@dataclass
class _Seen:
    """Sizes at the last look: a file that still grows is left alone."""

    sizes: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def settled(self, folder: Path) -> list[Path]:
        now = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.xml"))}
        before, self.sizes = self.sizes, now
        return [path for path, size in now.items() if before.get(path) == size]


class Driver:
    """Imports what tills leave in a folder."""

    def __init__(self, config: Config, services: Services) -> None:
        self._config, self._services = config, services
        self._seen = _Seen()
        self._last = "no document so far"

    async def run(self, emit: Emit) -> None:
        """Look into the folder until cancelled."""
        tills, shop = self._services.tills, self._services.shop
        if tills is None or shop is None:
            raise ConfigError("this gateway keeps no sales: checkout_poslog has nowhere to bring them")
        while True:
            for path in await asyncio.to_thread(self._look):
                await self._import(path, tills, shop, emit)
            self._services.report("online", "watching", f"{self._config.folder}: {self._last}", "nothing to do")
            await asyncio.sleep(self._config.look_s)

    async def check(self) -> str:
        """Say what is in the folder."""
        files = await asyncio.to_thread(self._look)
        return f"{self._config.folder} can be read, {len(files) or 'no'} documents seen"

    def _look(self) -> list[Path]:
        folder = self._config.folder
        try:
            for name in ("done", "refused"):
                (folder / name).mkdir(exist_ok=True)
            return self._seen.settled(folder)
        except OSError as error:
            raise DeviceError(f"{folder}: {error.strerror}; the gateway must be able to read and write it") from error

    async def _import(self, path: Path, tills: Tills, shop: ShopFacts, emit: Emit) -> None:
        tally = _Tally()
        parser = PoslogParser(shop.zone, minor_digits=shop.minor_digits, currency=shop.currency)
        unknown: Counter[str] = Counter()
        try:
            with await asyncio.to_thread(path.open, "rb") as file:
                await self._read(file, parser, tally, unknown, tills, shop)
        except OSError as error:
            raise DeviceError(f"{path}: {error.strerror}") from error
        for refusal in parser.refused:
            tally.refuse(f"transaction {refusal.index}, line {refusal.line}: {refusal.reason}")
        unknown.update(parser.unknown)
        trouble = None if parser.error is None else f"{path.name}: {parser.error}"
        fact = PoslogImported(
            at=self._services.clock.now(),
            source=self._config.id,
            document=path.name[:200],
            transactions=tally.transactions,
            duplicates=tally.duplicates,
            lines=tally.lines,
            refused=max(tally.refused, parser.refused_count) + (parser.error is not None),
            unknown=tuple(unknown.most_common(NAMED)),
            first_refusal=trouble or tally.first,
        )
        await emit(fact)
        await asyncio.to_thread(_put_away, path, trouble or tally.first)
        self._last = f"{path.name}: {tally.transactions} transactions, {fact.refused} refused"

    async def _read(
        self,
        file: BinaryIO,
        parser: PoslogParser,
        tally: _Tally,
        unknown: Counter[str],
        tills: Tills,
        shop: ShopFacts,
    ) -> None:
        waiting: list[PosTransaction] = []
        while parser.error is None and (piece := await asyncio.to_thread(file.read, PIECE_BYTES)):
            waiting += await asyncio.to_thread(parser.feed, piece)
            for batch in batches(waiting):
                await self._keep(batch, tally, unknown, tills, shop)
        waiting += parser.close()
        for batch in batches(waiting, rest=True):
            await self._keep(batch, tally, unknown, tills, shop)

    async def _keep(
        self, sales: list[PosTransaction], tally: _Tally, unknown: Counter[str], tills: Tills, shop: ShopFacts
    ) -> None:
        now = self._services.clock.now()
        messages = [as_message(sale, self._config.id, now, shop.currency) for sale in sales]
        for sale, outcome in zip(sales, await tills.import_sales(messages), strict=True):
            unknown.update(dict(sale.unknown))
            if outcome.result == "accepted":
                tally.transactions += 1
                tally.lines += len(sale.lines)
            elif outcome.result == "duplicate":
                tally.duplicates += 1
            else:
                tally.refuse(f"{outcome.event_id}: {outcome.reason}")


def _put_away(path: Path, reason: str | None) -> None:
    folder = path.parent / ("done" if reason is None else "refused")
    target = folder / path.name
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{path.stem}.{number}{path.suffix}"
    path.rename(target)
    if reason is not None:
        target.with_suffix(".reason.txt").write_text(reason + "\n", "utf-8")
