"""What a reader can do, and how it is told to read: the configuration held against its capabilities. Pure.

Nothing is set that the reader did not list: power is the nearest listed value that is not above the wish, the mode must
be one of its own, region and channels are the reader's. A wish that cannot be is a `ConfigError` with what could be.
Quirks of makers are data (`VENDORS`): which custom message comes first, which parameters ask for what only they tell.
Not here: the messages (`_llrp_control.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from drivers._llrp_config import Config
from gateway.errors import ConfigError

MODULATIONS = ("FM0", "Miller 2", "Miller 4", "Miller 8")
STANDARDS = {  # LLRP 1.0.1, 9.2.4: CommunicationsStandard
    1: "US FCC 15",
    2: "ETSI 302 208",
    3: "ETSI 300 220",
    4: "Australia 1 W",
    5: "Australia 4 W",
    6: "Japan",
    7: "Hong Kong",
    8: "Taiwan",
    9: "Korea",
}


@dataclass(frozen=True)
class Vendor:
    """Extensions of one maker, by its private enterprise number. `(subtype, payload)` of messages and parameters.

    `hello` must be sent before anything else of theirs; `report` goes into the report specification; `searches` are the
    values of parameter `search` in an inventory command.
    """

    name: str
    pen: int
    hello: tuple[int, bytes] | None = None
    report: tuple[int, bytes] | None = None
    search: int = 0
    searches: Mapping[str, int] = field(default_factory=dict)


def _on(subtype: int) -> bytes:
    """Return Impinj's `ImpinjEnable...` parameter with mode 1."""
    return (1023).to_bytes(2) + (14).to_bytes(2) + (25882).to_bytes(4) + subtype.to_bytes(4) + (1).to_bytes(2)


STANDARD = Vendor("standard", 0)
VENDORS = {
    25882: Vendor(  # Octane LLRP: enable extensions; ask for peak RSSI in 1/100 dBm and the phase; search mode
        "impinj", 25882, (21, bytes(4)), (50, _on(53) + _on(52)), 23, {"single": 1, "dual": 2, "focus": 3}
    ),
    161: Vendor("zebra", 161, report=(708, bytes.fromhex("10000000"))),  # MotoTagReportContentSelector: the phase
}


class Mode(NamedTuple):
    """One entry of the reader's RF mode table."""

    id: int
    modulation: int
    bits_per_s: int

    def __str__(self) -> str:
        name = MODULATIONS[self.modulation] if self.modulation < len(MODULATIONS) else f"M={self.modulation}"
        return f"{self.id} ({name}, {self.bits_per_s / 1000:.0f} kbit/s)"


@dataclass(frozen=True)
class Capabilities:
    """What a reader said of itself. `powers`: hundredths of a dBm by index of its table."""

    pen: int
    model: int
    firmware: str
    antennas: int
    inputs: int
    holds_reports: bool
    powers: Mapping[int, int]
    modes: tuple[Mode, ...]
    hop_table: int  # 0 = fixed channels
    country: int
    standard: int

    def __str__(self) -> str:
        maker = VENDORS[self.pen].name.capitalize() if self.pen in VENDORS else f"maker {self.pen}"
        return f"{maker} model {self.model}, firmware {self.firmware}, {self.antennas} antennas"

    @property
    def region(self) -> str:
        """Country (ISO 3166 number) and rules that the reader is set to."""
        return f"country {self.country}, {STANDARDS.get(self.standard, f'standard {self.standard}')}"

    @property
    def power_range(self) -> str:
        """For people."""
        if not self.powers:
            return "no powers listed"
        return f"{min(self.powers.values()) / 100:g} to {max(self.powers.values()) / 100:g} dBm"


@dataclass(frozen=True)
class Plan:
    """How this reader is told to read. `power_index`: by antenna, only those that are to be set."""

    config: Config
    capabilities: Capabilities
    vendor: Vendor
    antennas: tuple[int, ...]
    power_index: Mapping[int, int]
    notes: tuple[str, ...]  # what was not as wished, for people


def make_plan(config: Config, capabilities: Capabilities) -> Plan:
    """Hold the wishes against the capabilities. Raises ConfigError that names what would be right."""
    antennas = _antennas(config, capabilities)
    notes: list[str] = []
    powers = {
        antenna: _power_index(antenna, wish, capabilities, notes)
        for antenna in antennas
        if (wish := config.power_dbm.get(antenna) if isinstance(config.power_dbm, dict) else config.power_dbm)
        is not None
    }
    _check_mode(config, capabilities)
    if config.gpi_start is not None and config.gpi_start > capabilities.inputs:
        raise ConfigError(f"{config.id} gpi_start = {config.gpi_start}: the reader has {capabilities.inputs} inputs")
    return Plan(config, capabilities, _vendor(config, capabilities), antennas, powers, tuple(dict.fromkeys(notes)))


def _antennas(config: Config, capabilities: Capabilities) -> tuple[int, ...]:
    wished = sorted({*config.antennas, *(config.power_dbm if isinstance(config.power_dbm, dict) else ())})
    if wished and wished[-1] > capabilities.antennas:
        raise ConfigError(
            f"{config.id} antennas: there is no antenna {wished[-1]}, the reader has 1 to {capabilities.antennas}"
        )
    return tuple(sorted(set(config.antennas))) or tuple(range(1, capabilities.antennas + 1))


def _power_index(antenna: int, wish_dbm: float, capabilities: Capabilities, notes: list[str]) -> int:
    wish = round(100 * wish_dbm)
    fitting = {cdbm: index for index, cdbm in sorted(capabilities.powers.items(), reverse=True) if cdbm <= wish}
    if not fitting:
        raise ConfigError(
            f"power_dbm of antenna {antenna} is {wish_dbm:g}: the reader lists {capabilities.power_range}"
        )
    highest = max(capabilities.powers.values())
    if wish > highest:
        notes.append(f"power limited to {highest / 100:g} dBm, the most that the reader lists ({capabilities.region})")
    return fitting[max(fitting)]


def _check_mode(config: Config, capabilities: Capabilities) -> None:
    if config.mode is not None and config.mode not in {mode.id for mode in capabilities.modes}:
        there = ", ".join(map(str, capabilities.modes)) or "none: leave mode out"
        raise ConfigError(f"{config.id} mode = {config.mode}: the reader has no such mode; it lists {there}")


def _vendor(config: Config, capabilities: Capabilities) -> Vendor:
    own = VENDORS.get(capabilities.pen, STANDARD)
    vendor = STANDARD if config.vendor == "standard" else own
    if config.vendor not in ("auto", "standard", own.name):
        raise ConfigError(
            f'{config.id} vendor = "{config.vendor}": the reader says it is made by {capabilities.pen} ({own.name}); '
            'set vendor = "auto"'
        )
    if config.search is not None and config.search not in vendor.searches:
        raise ConfigError(f'{config.id} search = "{config.search}": only Impinj readers know it; leave it out')
    return vendor
