"""Reads head office's CSV files: prices, products, bindings, planogram. Every bad line is named with its line number.

The first line names the columns, in any order; comma, semicolon or tab. Amounts are exact (`money.py`). Not here:
sending (`orders.py`, `client.py`).
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from gateway.errors import ConfigError, Refused
from gateway.hq.money import minor, minor_from
from gateway.messages import Binding, Facing, PriceLine, Product

MAX_FILE_BYTES = 256 * 1024 * 1024  # a million lines of prices are 60 MiB
GTIN_LENGTHS = (8, 12, 13, 14)

Row = dict[str, str]
Item = TypeVar("Item", PriceLine, Product, Binding, Facing)


@dataclass(frozen=True)
class Table(Generic[Item]):
    """What a file held: good items, and `(line number, why)` of bad lines."""

    items: list[Item] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)


def read_prices(path: Path, encoding: str) -> Table[PriceLine]:
    """Columns: gtin, price or price_minor, currency; optional sku, unit_price, unit, was, promo, template."""
    return _read(path, encoding, _price, {"gtin", "currency"}, {"price", "price_minor"}, PRICE_COLUMNS)


def read_products(path: Path, encoding: str) -> Table[Product]:
    """Columns: gtin, one name:<language> or more; optional sku, unit, net_content, weight_mg, category."""
    return _read(path, encoding, _product, {"gtin"}, set(), PRODUCT_COLUMNS)


def read_bindings(path: Path, encoding: str) -> Table[Binding]:
    """Columns: label (16 hex digits), gtin (empty = unbind); optional facing."""
    return _read(path, encoding, _binding, {"label", "gtin"}, set(), BINDING_COLUMNS)


def read_planogram(path: Path, encoding: str) -> Table[Facing]:
    """Columns: facing; optional gtin, shelf, position, quantity."""
    return _read(path, encoding, _facing, {"facing"}, set(), PLANOGRAM_COLUMNS)


PRICE_COLUMNS = {"gtin", "price", "price_minor", "currency", "sku", "unit_price", "unit_price_minor", "unit", "was"}
PRICE_COLUMNS |= {"was_minor", "promo", "template"}
PRODUCT_COLUMNS = {"gtin", "sku", "unit", "net_content", "weight_mg", "category"}
BINDING_COLUMNS = {"label", "gtin", "facing"}
PLANOGRAM_COLUMNS = {"facing", "gtin", "shelf", "position", "quantity"}


def gtin14(text: str) -> str:
    """Return a GTIN of 8, 12, 13 or 14 digits as 14. Raises Refused when its check digit is wrong."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) in GTIN_LENGTHS):
        raise Refused(f'gtin "{text}" must have 8, 12, 13 or 14 digits (does the spreadsheet show it as a number?)')
    full = digits.zfill(14)
    expected = -sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(full[:13])) % 10
    if int(full[13]) != expected:
        raise Refused(f'gtin "{text}": check digit is {full[13]}, should be {expected}')
    return full


def _price(row: Row) -> PriceLine:
    currency = row["currency"].upper()
    price = _amount(row, "price", currency)
    if price is None:
        raise Refused("price is empty")
    return PriceLine(
        gtin=gtin14(row["gtin"]),
        price_minor=price,
        currency=currency,
        sku=row.get("sku"),
        unit_price_minor=_amount(row, "unit_price", currency),
        unit=row.get("unit"),
        was_minor=_amount(row, "was", currency),
        promo=row.get("promo"),
        template=row.get("template"),
    )


def _product(row: Row) -> Product:
    names = {column.removeprefix("name:"): text for column, text in row.items() if column.startswith("name:")}
    return Product(
        gtin=gtin14(row["gtin"]),
        name=names,
        sku=row.get("sku"),
        unit=row.get("unit"),
        net_content=row.get("net_content"),
        weight_mg=_whole(row, "weight_mg"),
        category=row.get("category"),
    )


def _binding(row: Row) -> Binding:
    gtin = row.get("gtin")
    return Binding(label=row["label"].upper().zfill(16), gtin=gtin14(gtin) if gtin else None, facing=row.get("facing"))


def _facing(row: Row) -> Facing:
    gtin = row.get("gtin")
    return Facing(
        facing=row["facing"],
        gtin=gtin14(gtin) if gtin else None,
        shelf=row.get("shelf"),
        position=_whole(row, "position"),
        quantity=_whole(row, "quantity"),
    )


def _amount(row: Row, name: str, currency: str) -> int | None:
    if text := row.get(f"{name}_minor"):
        return minor_from(_whole(row, f"{name}_minor") or 0, text)
    return minor(row[name], currency) if row.get(name) else None


def _whole(row: Row, name: str) -> int | None:
    text = row.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise Refused(f'{name} "{text}" is not a whole number')
    return int(text)


def _read(
    path: Path, encoding: str, build: Callable[[Row], Item], needed: set[str], one_of: set[str], known: set[str]
) -> Table[Item]:
    lines = _open(path, encoding)
    columns = next(lines)[1]
    _check_columns(path, columns, needed, one_of, known)
    table: Table[Item] = Table()
    for number, cells in lines:
        try:
            table.items.append(build(_row(columns, cells)))
        except Refused as error:
            table.bad.append((number, str(error)))
        except KeyError as error:
            table.bad.append((number, f"{error.args[0]} is empty"))
        except ValidationError as error:
            first = error.errors()[0]
            table.bad.append((number, f"{'.'.join(map(str, first['loc']))}: {first['msg']} ({first['input']!r})"))
    return table


def _open(path: Path, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Yield `(line number, cells)`, the header first; empty lines are passed over."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES} bytes; split it")
    try:
        text = path.read_text(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ConfigError(f"{path}: is not {encoding} text ({error}); try --encoding gb18030") from None
    header = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    found = False
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found = True
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise ConfigError(f"{path}: line {reader.line_num}: not valid CSV: {error}") from None
    if not found:
        raise ConfigError(f"{path}: is empty; the first line names the columns")


def _check_columns(path: Path, columns: list[str], needed: set[str], one_of: set[str], known: set[str]) -> None:
    missing = sorted(needed - set(columns))
    if one_of and not one_of & set(columns):
        missing.append(" or ".join(sorted(one_of)))
    if missing:
        raise ConfigError(f"{path}: line 1: column {', '.join(missing)} is missing; there are: {', '.join(columns)}")
    unknown = [name for name in columns if name not in known and not name.startswith("name:")]
    if unknown:
        raise ConfigError(f"{path}: line 1: no such column {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    if len(set(columns)) != len(columns):
        raise ConfigError(f"{path}: line 1: a column is there twice: {', '.join(columns)}")


def _row(columns: list[str], cells: list[str]) -> Row:
    """Return the filled cells by column; an empty one is not there."""
    if len(cells) > len(columns):
        raise Refused(f"{len(cells)} cells, but {len(columns)} columns: {cells[len(columns)]!r} is too many")
    return {column: cell for column, cell in zip(columns, cells, strict=False) if cell}
