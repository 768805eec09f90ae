"""Where things stand on a face: templates read from `config/templates/*.toml` and fitted to a panel.

A template file holds one layout for each panel size it was drawn for; another size gets the nearest layout, its boxes
scaled. Boxes of a layout never overlap, so that nothing can cover a price or enter a symbol's quiet zone.
Not here: how a box is filled (`face_paint.py`). A mistake in a file is a `ConfigError` that names file and entry.
"""

import math
import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from gateway.data_files import data_dir
from gateway.errors import ConfigError, Refused
from gateway.prices.face_codes import QR_MODULE_PX

QR_LEAST_PX = 33 * QR_MODULE_PX  # a GS1 Digital Link of id.gs1.org: 25 modules and its quiet zone
MARK_WIDTH, MARK_HEIGHT = 16, 4  # the revision mark's corner, lower right: nothing else may stand there
SYMBOLS = {"barcode", "qr", "label_code"}
KINDS = SYMBOLS | {"price", "rule"}
TEXTS = {"name", "net_content", "unit_price", "was", "promo", "sku", "label", "gtin", "spare", "details"}
_CHOICES = {
    "align": {"left", "center", "right"},
    "valign": {"top", "middle", "bottom"},
    "font": {"regular", "bold"},
    "ink": {"black", "accent", "paper"},
    "paper": {"", "accent", "highlight"},
}


@dataclass(frozen=True)
class Element:
    """One box of a layout. `sizes` = largest and smallest font size in pixels."""

    field: str
    box: tuple[int, int, int, int]
    sizes: tuple[int, int] = (16, 9)
    lines: int = 1
    align: str = "left"
    valign: str = "middle"
    font: str = "regular"
    ink: str = "black"
    paper: str = ""
    strike: bool = False


@dataclass(frozen=True)
class Layout:
    """All boxes for one panel size, in drawing order."""

    size: tuple[int, int]
    elements: tuple[Element, ...]


@lru_cache(maxsize=1)
def templates() -> dict[str, tuple[Layout, ...]]:
    """Return every template of this installation by name."""
    folder = data_dir("config") / "templates"
    found = {path.stem: _load(path) for path in sorted(folder.glob("*.toml"))}
    if not found:
        raise ConfigError(f"no face templates in {folder}")
    return found


@lru_cache(maxsize=256)
def layout_for(name: str, width: int, height: int) -> Layout:
    """Return the layout of a template for a panel: drawn for it, or scaled from the nearest one."""
    known = templates()
    if name not in known:
        raise Refused(f"there is no face template {name!r}; known are {', '.join(known)}")
    nearest = min(known[name], key=lambda layout: _distance(layout.size, width, height))
    return nearest if nearest.size == (width, height) else _scaled(nearest, width, height)


def _distance(size: tuple[int, int], width: int, height: int) -> float:
    """Rate how badly a layout suits a panel: shape counts twice, and making things smaller is worse than larger."""
    across, down = math.log(width / size[0]), math.log(height / size[1])
    return 2 * abs(across - down) + abs(across + down) + (0.5 if min(across, down) < 0 else 0)


def _scaled(layout: Layout, width: int, height: int) -> Layout:
    across, down = width / layout.size[0], height / layout.size[1]
    both = min(across, down)
    elements = []
    for one in layout.elements:
        left, top, wide, tall = one.box
        right, bottom = int((left + wide) * across), int((top + tall) * down)
        box = (math.ceil(left * across), math.ceil(top * down))
        sizes = (max(9, int(one.sizes[0] * both)), max(9, int(one.sizes[1] * both)))
        scaled = Element(**{**vars(one), "box": (*box, right - box[0], bottom - box[1]), "sizes": sizes})
        if one.field != "qr" or min(scaled.box[2:]) >= QR_LEAST_PX:
            elements.append(scaled)
    return Layout((width, height), tuple(elements))


def _symbols_last(elements: list[Element]) -> tuple[Element, ...]:
    """Order elements so that no stray pixel of a text can stay in a symbol's quiet zone."""
    return tuple(sorted(elements, key=lambda one: one.field in SYMBOLS))


def _load(path: Path) -> tuple[Layout, ...]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))["layout"]
        return tuple(_layout(path, table) for table in tables)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: every [[layout]] needs `size = [w, h]` and `elements`: {error}") from error


def _layout(path: Path, table: dict[str, Any]) -> Layout:
    width, height = table["size"]
    elements = [_element(path, (width, height), entry) for entry in table["elements"]]
    for first, second in combinations(elements, 2):
        if _overlap(first.box, second.box):
            raise ConfigError(f"{path}: layout {width}x{height}: {first.field!r} and {second.field!r} overlap")
    return Layout((width, height), _symbols_last(elements))


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    across = one[0] < other[0] + other[2] and other[0] < one[0] + one[2]
    return across and one[1] < other[1] + other[3] and other[1] < one[1] + one[3]


def _element(path: Path, size: tuple[int, int], entry: dict[str, Any]) -> Element:
    where = f"{path}: layout {size[0]}x{size[1]}, {entry.get('field', 'element without field')!r}"
    unknown = entry.keys() - {one.name for one in fields(Element)}
    if unknown:
        raise ConfigError(f"{where}: unknown {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    element = Element(**values)
    if element.field not in KINDS | TEXTS:
        raise ConfigError(f"{where}: no such field; known are {', '.join(sorted(KINDS | TEXTS))}")
    for key, allowed in _CHOICES.items():
        if getattr(element, key) not in allowed:
            raise ConfigError(f"{where}: {key} = {getattr(element, key)!r} is none of {', '.join(sorted(allowed))}")
    _check_box(where, size, element)
    return element


def _whole(numbers: object, count: int) -> bool:
    """Return whether a TOML value was an array of so many whole numbers."""
    return isinstance(numbers, tuple) and len(numbers) == count and all(type(one) is int for one in numbers)


def _check_box(where: str, size: tuple[int, int], element: Element) -> None:
    if not _whole(element.box, 4) or not _whole(element.sizes, 2):
        raise ConfigError(f"{where}: box needs 4 whole numbers, sizes 2: {element.box}, {element.sizes}")
    left, top, width, height = element.box
    if left < 0 or top < 0 or width < 1 or height < 1 or left + width > size[0] or top + height > size[1]:
        raise ConfigError(f"{where}: box {list(element.box)} lies outside the panel")
    if left + width > size[0] - MARK_WIDTH and top + height > size[1] - MARK_HEIGHT:
        raise ConfigError(
            f"{where}: box {list(element.box)} covers the revision mark's corner, the lower right "
            f"{MARK_WIDTH} x {MARK_HEIGHT} pixels"
        )
