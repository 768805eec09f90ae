"""`aisled check`: is the configuration right, and does everything that it names answer? Changes nothing anywhere.

One line a finding: `ok`, `warning` or `FAILED`. Drivers that can try their connection say so themselves (`Checkable`).
Not here: the meaning of fields (`config.py`).
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from drivers._mqtt import MqttLink, MqttOptions
from gateway.config import Config, load
from gateway.config_secrets import secret_warnings
from gateway.driver import Checkable, DeviceConfig, Health, Services
from gateway.driver_index import load_driver
from gateway.errors import ConfigError, DeviceError
from gateway.store.place import check_place
from gateway.uplink.settings import HqConfig, read_secret

ANSWER_S = 20.0  # a broker or device that needs longer is as good as gone for a shop


class Finding(NamedTuple):
    """One line of the report."""

    verdict: Literal["ok", "warning", "FAILED"]
    text: str


class _NowClock:
    """The plain system clock: a check has no store to doubt it by."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def check(path: Path, *, offline: bool) -> int:
    """Print the findings. Returns 0 when all is well, 1 when something failed; ConfigError when the file is wrong."""
    config = load(path)
    _print(Finding("ok", f"{path}: {len(config.devices)} devices, shop {config.store.id}, gateway {config.gateway.id}"))
    failed = [_print(finding) for finding in _on_this_machine(config)]
    if not offline:
        failed += asyncio.run(_connections(config))
    return 1 if any(failed) else 0


def _print(finding: Finding) -> bool:
    sys.stdout.write(f"{finding.verdict:8} {finding.text}\n")
    sys.stdout.flush()
    return finding.verdict == "FAILED"


def _on_this_machine(config: Config) -> Iterator[Finding]:
    tables = [("[hq]", config.hq)] if config.hq else []
    tables += [(f'[[device]] "{device.id}"', device) for device in config.devices]  # type: ignore[misc]
    for where, table in tables:
        yield from (Finding("warning", text) for text in secret_warnings(where, table))
    folder = config.gateway.data_dir
    if not folder.exists():
        yield Finding("warning", f"[gateway] data_dir: {folder} is not there yet; the gateway makes it at its start")
        return
    try:
        check_place(folder)
        yield Finding("ok", f"[gateway] data_dir: {folder} can be written")
    except ConfigError as error:
        yield Finding("FAILED", f"[gateway] data_dir: {error}")


async def _connections(config: Config) -> list[bool]:
    return [_print(finding) async for finding in _try_all(config)]


async def _try_all(config: Config) -> AsyncIterator[Finding]:
    if config.hq is None:
        yield Finding("ok", "[hq] is not set: the shop runs alone")
    else:
        for url in config.hq.urls:
            yield await _try_broker(config, config.hq, url)
    for device in config.devices:
        yield await _try_device(device)


async def _try_broker(config: Config, hq: HqConfig, url: str) -> Finding:
    """Sign in under a client id of our own, so that a running gateway keeps its session."""
    try:
        options = MqttOptions(
            url=url,
            client_id=(hq.client_id or f"aisled-{config.store.id}-{config.gateway.id}") + "-check",
            username=hq.username,
            password=read_secret(hq.password_file) if hq.password_file else None,
            ca_file=hq.ca_file,
            cert_file=hq.cert_file,
            key_file=hq.key_file,
        )
        async with asyncio.timeout(ANSWER_S), MqttLink(options):
            return Finding("ok", f"[hq] {url}: the broker lets us in")
    except (DeviceError, ConfigError) as error:
        return Finding("FAILED", f"[hq] {url}: {error}")
    except TimeoutError:
        return Finding("FAILED", f"[hq] {url}: no answer within {ANSWER_S:g} s")


async def _try_device(device: DeviceConfig) -> Finding:
    where = f'[[device]] "{device.id}"'
    if not device.enabled:
        return Finding("ok", f"{where} is switched off (enabled = false)")
    driver = load_driver(device.driver).Driver(device, Services(clock=_NowClock(), report=_nobody_listens))
    if not isinstance(driver, Checkable):
        return Finding("ok", f"{where}: driver {device.driver} cannot be tried without touching the device")
    try:
        async with asyncio.timeout(ANSWER_S):
            return Finding("ok", f"{where}: {await driver.check()}")
    except (DeviceError, ConfigError) as error:
        return Finding("FAILED", f"{where}: {error}")
    except TimeoutError:
        return Finding("FAILED", f"{where}: no answer within {ANSWER_S:g} s")


def _nobody_listens(state: Health, reason: str, evidence: str, next_step: str) -> None:
    """Take a report of health: a check prints what the driver returns, not what it reports on the way."""
