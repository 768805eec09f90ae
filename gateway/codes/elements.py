"""GS1 element strings and Digital Links -> {application identifier: value}. The grammar of each identifier is biip's.

Only the loop is ours, because it must be bounded, must name what is wrong, and biip's own takes a quarter of a
millisecond of the price look-up. Tests hold it to biip's. Values are ASCII: a Digital Link can spell other scripts'
digits, and no pattern takes them. Not here: what the values mean (`measures.py`), and the check digit of the GTIN
(`gtin.py`).
"""

import re
from functools import lru_cache
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from biip import ParseError
from biip.gs1_application_identifiers import GS1ApplicationIdentifier

from gateway.codes.carriers import GS
from gateway.errors import Rejected

MAX_ELEMENTS = 32  # the richest labels of goods have about ten
MAX_PARAMETERS = 64  # of a web address, most of them a shop's own
QUALIFIERS = {"01", "22", "10", "21", "235"}  # GS1 Digital Link: URI Syntax, 4.7: what may stand in the path

_BRACKETED = {
    "(": re.compile(r"\(([0-9]{2,4})\)([^(]+)"),
    "[": re.compile(r"\[([0-9]{2,4})\]([^\[]+)"),
}


@lru_cache(maxsize=1024)  # biip looks through all 541; the frequent ones come first in its list
def _identifier(head: str) -> tuple[str, re.Pattern[str], str] | None:
    try:
        known = GS1ApplicationIdentifier.extract(head)
    except ParseError:
        return None
    return known.ai, re.compile(known.pattern.removesuffix("$"), re.ASCII), known.format


def read_elements(text: str) -> dict[str, str]:
    """Read a string of elements as a scanner sends it: no brackets, GS where a value of variable length ends."""
    found: dict[str, str] = {}
    for part in text.split(GS):
        rest = part
        while rest:
            rest = _take(found, rest)
    return found


def read_bracketed(text: str) -> dict[str, str]:
    """Read elements as people write them: `(01)09506000134352(17)261231`, or with square brackets."""
    dense = text.replace(" ", "")
    pattern = _BRACKETED[dense[0]]
    found: dict[str, str] = {}
    place = 0
    while place < len(dense):
        element = pattern.match(dense, place)
        if element is None:
            raise Rejected("brackets do not stand around application identifiers, as in (01)09506000134352")
        _keep(found, *_exact(element[1], element[2]))
        place = element.end()
    return found


def read_link(text: str) -> dict[str, str]:
    """Read a GS1 Digital Link of any domain: the GTIN and its qualifiers from the path, the rest from the query."""
    url, query = _split(text)
    steps = url.path.rstrip("/").split("/")
    if not url.netloc or "01" not in steps[:-1]:
        raise Rejected("the web address names no product: it lacks /01/ and a GTIN")
    steps = steps[steps.index("01") :]
    if len(steps) % 2 or not QUALIFIERS.issuperset(steps[::2]):
        raise Rejected("after its GTIN the web address may have /22/, /10/, /21/ and /235/ only, each with a value")
    gtin, *others = map(unquote, steps[1::2])
    found: dict[str, str] = {}
    for ai, value in zip(steps[::2], (gtin.zfill(14), *others), strict=True):
        _keep(found, *_exact(ai, value))
    for ai, value in query:
        if (known := _identifier(ai)) is not None and known[0] == ai:
            _keep(found, *_exact(ai, value))
    return found


def _split(text: str) -> tuple[SplitResult, list[tuple[str, str]]]:
    try:
        url = urlsplit(text)
        return url, parse_qsl(url.query, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise Rejected("not a web address that can be read") from None


def _take(found: dict[str, str], text: str) -> str:
    known = _identifier(text[:4])
    if known is None:
        raise Rejected(f"no application identifier {_after(found)}")
    ai, pattern, form = known
    element = pattern.match(text)
    if element is None:
        raise Rejected(f"({ai}) does not have the form {form}")
    _keep(found, ai, text[len(ai) : element.end()])
    return text[element.end() :]


def _after(found: dict[str, str]) -> str:
    return f"after ({next(reversed(found))})" if found else "at the start"


def _exact(ai: str, value: str) -> tuple[str, str]:
    known = _identifier(ai)
    if known is None or known[0] != ai:
        raise Rejected(f"({ai}) is no application identifier")
    if known[1].fullmatch(ai + value) is None:
        raise Rejected(f"({ai}) does not have the form {known[2]}")
    return ai, value


def _keep(found: dict[str, str], ai: str, value: str) -> None:
    if found.setdefault(ai, value) != value:
        raise Rejected(f"({ai}) stands twice, with different values")
    if len(found) > MAX_ELEMENTS:
        raise Rejected(f"more than {MAX_ELEMENTS} elements")
