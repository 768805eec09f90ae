"""Times that people write."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.errors import ConfigError
from gateway.hq.when import instant, zone

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)  # 09:30 in Shanghai


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("10:00", datetime(2026, 11, 22, 2, 0, tzinfo=UTC)),
        ("08:00", datetime(2026, 11, 23, 0, 0, tzinfo=UTC)),  # has passed: tomorrow
        ("2026-12-01 08:00", datetime(2026, 12, 1, 0, 0, tzinfo=UTC)),
        ("2026-12-01T08:00+09:00", datetime(2026, 11, 30, 23, 0, tzinfo=UTC)),
    ],
)
def test_the_instant_meant(text: str, expected: datetime) -> None:
    assert instant(text, SHANGHAI, NOW) == expected


@pytest.mark.parametrize("text", ["25:00", "8 o'clock", "", "2026-13-01 08:00"])
def test_no_time(text: str) -> None:
    with pytest.raises(ConfigError, match="not a time"):
        instant(text, SHANGHAI, NOW)


def test_the_hours_that_summer_time_skips_and_repeats() -> None:
    with pytest.raises(ConfigError, match="does not exist in Europe/Berlin"):
        instant("2026-03-29 02:30", BERLIN, NOW)
    with pytest.raises(ConfigError, match="comes twice in Europe/Berlin"):
        instant("2026-10-25 02:30", BERLIN, NOW)
    assert instant("2026-10-25 02:30+01:00", BERLIN, NOW) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_an_unknown_zone() -> None:
    with pytest.raises(ConfigError, match="not an IANA time zone"):
        zone("Asia/Peking")
