import io
import json
import logging
from collections.abc import Iterator

import pytest

from gateway import logs
from gateway.logs import MOST_KEYS, OnceAnHour, hide, redact, set_up

log = logging.getLogger("test.logs")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    set_up("INFO", stream := io.StringIO())
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    logs._secrets.clear()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_one_json_object_a_line(out: io.StringIO) -> None:
    log.info("two\nlines of %s", "标签", extra={"device": "ap-1", "odd": object})
    log.debug("not this")
    [line] = lines(out)
    assert (line["text"], line["device"], line["level"]) == ("two\nlines of 标签", "ap-1", "info")
    assert str(line["time"]).endswith("+00:00")
    assert "taskName" not in line


def test_traceback_is_in_its_line(out: io.StringIO) -> None:
    try:
        _ = {}["deep"]
    except KeyError:
        log.exception("it failed")
    [line] = lines(out)
    assert "KeyError: 'deep'" in str(line["traceback"])
    assert "test_logs.py" in str(line["traceback"])


def test_repeats_are_printed_once(out: io.StringIO) -> None:
    for turn in range(100):
        log.warning("bad frame %d", turn, extra={"device": "ap-1", "once": "bad_frame"})
        log.warning("bad frame %d", turn, extra={"device": "ap-2", "once": "bad_frame"})
        log.warning("no link", extra={"device": "ap-1", "once": "link"})
    assert [(line["text"], line["device"]) for line in lines(out)] == [
        ("bad frame 0", "ap-1"),
        ("bad frame 0", "ap-2"),
        ("no link", "ap-1"),
    ]


def record(key: str) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": "x"})
    made.once = key
    return made


def test_after_an_hour_the_count_of_what_was_left_out_is_said() -> None:
    now = [0.0]
    once = OnceAnHour(lambda: now[0])
    assert once.filter(record("a"))
    assert not any(once.filter(record("a")) for _ in range(7))
    now[0] = 3601
    again = record("a")
    assert once.filter(again)
    assert '"left_out": 7' in logs.JsonLines().format(again)


def test_keys_are_bounded() -> None:
    once = OnceAnHour(lambda: 0.0)
    for number in range(3 * MOST_KEYS):
        once.filter(record(str(number)))
    assert len(once._heard) == MOST_KEYS


def test_no_secrets(out: io.StringIO) -> None:
    hide('hunter"22')
    hide("abc")
    log.error(
        "login %s failed at mqtt://anna:geheim@10.0.0.1:1883/x, abc", 'hunter"22', extra={"password": 'hunter"22'}
    )
    try:
        int('no hunter"22 here')
    except ValueError:
        log.exception("deep")
    text = out.getvalue()
    assert "hunter" not in text
    assert "geheim" not in text
    assert "mqtt://anna:***@10.0.0.1:1883/x, abc" in text


def test_ordinary_urls_stay() -> None:
    assert redact("http://10.0.0.1:80/a@b and a:b@c") == "http://10.0.0.1:80/a@b and a:b@c"
