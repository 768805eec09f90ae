"""Logging of the daemon: JSON lines on stdout (journald takes them), stdlib only.

Code logs with `extra={"device": id}`; a line that a broken device could repeat for ever has `extra={"once": key}` and
is printed once an hour at most, then with the count of what was left out. Secrets given to `hide` and passwords in
URLs never come out. Not here: facts for head office (`messages/`).
"""

import json
import logging
import re
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

REPEAT_S = 3600.0
MOST_KEYS = 2000  # beyond this the key not heard of for longest is forgotten: it may then print again
SHORTEST_SECRET = 4  # hiding shorter ones would blank half of every line
MASK = "***"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "once", "repeats"}
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@", re.IGNORECASE)

_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Never let this text come out in a log line."""
    if len(secret) >= SHORTEST_SECRET:
        _secrets.add(secret)
        _secrets.add(json.dumps(secret, ensure_ascii=False)[1:-1])


def redact(text: str) -> str:
    """Return the text without hidden secrets and without passwords in URLs."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", text)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, text, the `extra` fields, and a traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. What is not JSON in `extra` becomes its `repr`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        line.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if repeats := getattr(record, "repeats", 0):
            line["left_out"] = repeats
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        return redact(json.dumps(line, default=repr, ensure_ascii=False))


class OnceAnHour(logging.Filter):
    """Lets a record with `once` pass the first time, and again after an hour with the count left out between."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._heard: OrderedDict[tuple[str, object, object], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is printed."""
        once = getattr(record, "once", None)
        if once is None:
            return True
        key, now = (record.name, getattr(record, "device", None), once), self._seconds()
        printed_at, left_out = self._heard.pop(key, (None, 0))
        if printed_at is not None and now - printed_at < REPEAT_S:
            self._heard[key] = (printed_at, left_out + 1)
            return False
        record.repeats = left_out
        self._heard[key] = (now, 0)
        if len(self._heard) > MOST_KEYS:
            self._heard.popitem(last=False)
        return True


def set_up(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (stdout) as JSON lines. Raises ValueError for an unknown level."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines())
    handler.addFilter(OnceAnHour())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
