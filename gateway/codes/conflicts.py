"""Makes the readers of a shop's templates, and refuses those that would read each other's codes or makers' products.

Each fault is a line: the `[[code]]` tables by number and prefix, the field, and a right value. Not here: what is wrong
with a template by itself (`templates.py`).
"""

from collections.abc import Iterator, Sequence

from gateway.codes.templates import CodeTemplate
from gateway.codes.variable import Reader
from gateway.errors import ConfigError

RESTRICTED = ("02", "04", "2")  # GS1 General Specifications, 1.4.3: EAN-13 prefixes that no maker's product has


def make_readers(templates: Sequence[CodeTemplate], minor_digits: int) -> list[Reader]:
    """Return a reader for each template. Raises ConfigError with a line for each fault."""
    readers: list[Reader] = []
    faults: list[str] = []
    for number, template in enumerate(templates, 1):
        try:
            readers.append(Reader(template, minor_digits))
        except ConfigError as error:
            faults.append(f"{_name(number, template)} {error}")
    if not faults:
        faults.extend(_conflicts(templates, readers))
    if faults:
        raise ConfigError("\n".join(faults))
    return readers


def _conflicts(templates: Sequence[CodeTemplate], readers: list[Reader]) -> Iterator[str]:
    named = [(_name(*one), reader) for one, reader in zip(enumerate(templates, 1), readers, strict=True)]
    for place, (name, reader) in enumerate(named):
        template = templates[place]
        if not _harmless(template, reader):
            right = _free_prefix(template, readers)
            yield f"{name} prefix: makers' products begin with it; {right}, or set allow_any_prefix = true"
        for other_name, other in named[:place]:
            if other.length == reader.length and _overlap(reader.prefix, other.prefix):
                yield f"{name} prefix: {other_name} reads the same codes; {_free_prefix(template, readers)}"


def _harmless(template: CodeTemplate, reader: Reader) -> bool:
    # 18 digits are nobody's GTIN; what matters is the GTIN that they become, and that can be said
    stated = reader.length == 18 and template.item_gtin is not None
    return stated or template.allow_any_prefix or reader.prefix.startswith(RESTRICTED)


def _free_prefix(template: CodeTemplate, readers: list[Reader]) -> str:
    zero = "0" if len(template.layout) == 12 else ""
    digits, length = len(template.prefix), len(zero + template.layout)
    taken = [reader.prefix for reader in readers if reader.length == length]
    for number in range(20, 30):
        right = str(number)[:digits].ljust(digits, "0")
        if not any(_overlap(zero + right, prefix) for prefix in taken):
            return f'a free one is prefix = "{right}"'
    return f"no prefix of {digits} digits is free, so remove one of the tables"


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _name(number: int, template: CodeTemplate) -> str:
    return f'[[code]] {number} (prefix "{template.prefix}")'
