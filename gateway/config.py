"""The configuration: one TOML file becomes frozen objects, or an error that a technician can act on.

`load(path)` names every mistake at once, each with file, table, field, the bad value and a right one. A `[[device]]`
table is checked by its driver's own `Config`. Secrets are never in the file: a `..._file` field names where they are,
and `config_secrets.py` finds them. Not here: trying connections (`check.py`).
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, model_validator

from gateway.codes import CodeTable, CodeTemplate
from gateway.config_errors import explain
from gateway.config_secrets import find_secrets
from gateway.driver import DeviceConfig
from gateway.driver_index import config_type
from gateway.epcis.settings import EpcisConfig
from gateway.errors import ConfigError
from gateway.prices.face_money import style_for
from gateway.rules.count_schedule import CountPlan
from gateway.rules.zones import Zone, Zones
from gateway.uplink.settings import HqConfig

MAX_CONFIG_BYTES = 4 * 1024 * 1024  # 10 000 device tables are below 2 MiB; more than this is not a configuration


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        near = difflib.get_close_matches(name, available_timezones(), n=1)
        raise ValueError("not an IANA time zone" + (f'; did you mean "{near[0]}"?' if near else ""))
    return name


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StoreConfig(Section):
    """Which shop this is."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
        description="number or name of the shop at head office; part of every MQTT topic",
        examples=["0421"],
    )
    timezone: Annotated[str, AfterValidator(_known_timezone)] = Field(
        description="IANA time zone of the shop, for times that people read or write", examples=["Asia/Shanghai"]
    )
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code of the shop's prices", examples=["CNY"])
    languages: tuple[str, ...] = Field(
        default=("en",), min_length=1, description="languages of product names on labels, best first", examples=[["en"]]
    )

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.timezone)


class GatewayConfig(Section):
    """Which machine of the shop this is."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
        description="name of this gateway, unique in the shop; part of every event's id",
        examples=["gw1"],
    )
    data_dir: Path = Field(
        description="folder of the database, on a local disk (never a network share)", examples=["/var/lib/aisled"]
    )

    @property
    def database(self) -> Path:
        """The one file that the store keeps."""
        return self.data_dir / "aisled.db"


class PricesConfig(Section):
    """How price waves are judged and shown."""

    absurd_change_percent: float | None = Field(
        default=None,
        gt=0,
        description="refuse a line that changes a price by more than this share; not set = no limit",
        examples=[80],
    )
    converge_alarm_min: float = Field(
        default=15,
        gt=0,
        le=24 * 60,
        description="minutes after which labels that still do not show a wave are named in an alarm",
        examples=[15],
    )
    link_base: str | None = Field(
        default=None,
        pattern=r"^https://[^\s?#]+$",
        max_length=60,
        description="start of the GS1 Digital Link in the QR code of a label; not set = https://id.gs1.org",
        examples=["https://shop.example"],
    )


class QuotaConfig(Section):
    """How much disk what head office has not yet taken may use."""

    telemetry_mib: int = Field(
        default=1024, ge=1, description="telemetry is thinned, then dropped oldest first, above this", examples=[1024]
    )
    business_mib: int = Field(
        default=512, ge=1, description="new business input is refused, with an alarm, above this", examples=[512]
    )


class JournalConfig(Section):
    """The record of what label and till said."""

    keep_days: int = Field(
        default=400, ge=1, description="days that the price journal is kept before it is exported", examples=[400]
    )


class TillsConfig(Section):
    """What tills are told."""

    lease_min: int = Field(
        default=15,
        ge=1,
        le=240,
        description="minutes that a till may sell from its own cache after it was heard; labels wait so long with a "
        "lower price for a till that is silent",
        examples=[15],
    )
    stale_after_min: int = Field(
        default=60,
        ge=1,
        description="minutes without head office after which price answers say that they may be old",
        examples=[60],
    )


class RfidConfig(Section):
    """How items with RFID tags are followed. Zones are `[[zone]]` tables."""

    absent_after_s: float = Field(
        default=60,
        ge=5,
        le=3600,
        description="least time without a read after which an item may be called absent; more for tags read seldom",
        examples=[60],
    )
    absent_within_min: float = Field(
        default=60, ge=1, le=24 * 60, description="most time without a read before that", examples=[60]
    )
    exit_grace_s: float = Field(
        default=1.0,
        ge=0,
        le=1.5,
        description="how long an alarm at an exit waits for a till that is about to tell of the sale",
        examples=[1.0],
    )
    sold_for_min: float = Field(
        default=240,
        ge=1,
        le=24 * 60,
        description="minutes after a sale in which a piece of the product may leave; what left is forgotten then",
        examples=[240],
    )
    settle_s: float = Field(
        default=60,
        ge=0,
        le=600,
        description="an item first heard so short ago gives no alarm at a door unless it clearly came and went: it may "
        "lie there",
        examples=[60],
    )
    count_limit_min: float = Field(
        default=120, ge=1, le=24 * 60, description="a count that nobody stops ends after so long", examples=[120]
    )
    writers: tuple[str, ...] = Field(
        default=(),
        description="issuers of commands that may encode, lock or kill tags, at readers with allow_writes",
        examples=[["hq/anna"]],
    )


class Config(Section):
    """Everything a gateway knows from its file."""

    store: StoreConfig
    gateway: GatewayConfig
    hq: HqConfig | None = Field(default=None, description="head office; without it the shop runs alone")
    prices: PricesConfig = PricesConfig()
    quota: QuotaConfig = QuotaConfig()
    journal: JournalConfig = JournalConfig()
    tills: TillsConfig = TillsConfig()
    rfid: RfidConfig = RfidConfig()
    epcis: EpcisConfig | None = Field(default=None, description="EPCIS 2.0 export; without it nothing is kept for it")
    zones: tuple[Zone, ...] = ()
    counts: tuple[CountPlan, ...] = ()
    codes: tuple[CodeTemplate, ...] = ()
    devices: tuple[SerializeAsAny[DeviceConfig], ...] = ()

    @model_validator(mode="after")
    def _devices_are_unique(self) -> Self:
        seen: set[str] = set()
        for device in self.devices:
            if device.id in seen:
                raise ValueError(f'[[device]] id = "{device.id}" is used twice; give each device a name of its own')
            seen.add(device.id)
        return self

    @model_validator(mode="after")
    def _codes_do_not_conflict(self) -> Self:
        try:
            self.code_table()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _zones_make_sense(self) -> Self:
        known = Zones(self.zones)
        if strange := known.readers() - {device.id for device in self.devices}:
            raise ValueError(f"[[zone]] antennas: no [[device]] has the id {', '.join(sorted(strange))}")
        for plan in self.counts:
            if missing := [zone for zone in plan.zones if known.get(zone) is None]:
                raise ValueError(f'[[count]] id = "{plan.id}" zones: no [[zone]] has the id "{missing[0]}"')
        return self

    def code_table(self) -> CodeTable:
        """Return what reads the codes of this shop."""
        return CodeTable(self.codes, minor_digits=style_for(self.store.currency).minor_digits)


SECTIONS: dict[str, type[BaseModel]] = {
    "store": StoreConfig,
    "gateway": GatewayConfig,
    "hq": HqConfig,
    "prices": PricesConfig,
    "quota": QuotaConfig,
    "journal": JournalConfig,
    "tills": TillsConfig,
    "rfid": RfidConfig,
    "epcis": EpcisConfig,
}
LISTS: dict[str, type[BaseModel]] = {
    "zone": Zone,
    "count": CountPlan,
    "code": CodeTemplate,
}  # [[...]] tables without a driver
REQUIRED = ("store", "gateway")


def load(path: Path | str) -> Config:
    """Read and check a configuration file. Raises ConfigError with one line for every mistake."""
    path = Path(path)
    return build(_parse(path), path)


def build(tables: Mapping[str, Any], path: Path) -> Config:
    """Check tables that were read from `path`; relative secret files are beside it."""
    mistakes = list(_unknown_tables(tables))
    sections: dict[str, Any] = {}
    for name, model in SECTIONS.items():
        if name in tables or name in REQUIRED:
            sections[name] = _section(name, model, tables.get(name, {}), path, mistakes)
    for name, model in LISTS.items():
        sections[f"{name}s"] = tuple(_tables(name, model, tables.get(name, []), mistakes))
    sections["devices"] = tuple(_devices(tables.get("device", []), path, mistakes))
    if not mistakes:
        try:
            return Config(**sections)
        except ValidationError as error:
            mistakes = [str(detail["ctx"]["error"]) for detail in error.errors()]
    raise ConfigError("\n".join(f"{path}: {mistake}" for mistake in mistakes))


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_CONFIG_BYTES} bytes; this is not a configuration")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _unknown_tables(tables: Mapping[str, Any]) -> Iterator[str]:
    known = [*SECTIONS, *LISTS, "device"]
    for name in tables:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean [{near[0]}]?" if near else "there are: " + ", ".join(f"[{one}]" for one in known)
            yield f"[{name}]: no such table; {hint}"


def _section(name: str, model: type[BaseModel], table: Any, path: Path, mistakes: list[str]) -> BaseModel | None:  # noqa: ANN401 - whatever TOML holds
    where = f"[{name}]"
    if not isinstance(table, dict):
        mistakes.append(f"{where}: must be a table, not {table!r}; write {where} on a line of its own")
        return None
    return _validated(model, find_secrets(name, table, model.model_fields, path.parent), where, mistakes)


def _tables(name: str, model: type[BaseModel], tables: Any, mistakes: list[str]) -> Iterator[BaseModel]:  # noqa: ANN401 - whatever TOML holds
    if not isinstance(tables, list):
        mistakes.append(f"[{name}]: there may be several; write [[{name}]] with two brackets")
        return
    for number, table in enumerate(tables, 1):
        where = f"[[{name}]] {number}"
        if not isinstance(table, dict):
            mistakes.append(f"{where}: must be a table, not {table!r}")
        elif (one := _validated(model, table, where, mistakes)) is not None:
            yield one


def _devices(tables: Any, path: Path, mistakes: list[str]) -> Iterator[BaseModel]:  # noqa: ANN401 - whatever TOML holds
    if not isinstance(tables, list):
        mistakes.append("[device]: devices are a list; write [[device]] with two brackets")
        return
    for number, table in enumerate(tables, 1):
        device = _device(number, table, path, mistakes)
        if device is not None:
            yield device


def _device(number: int, table: Any, path: Path, mistakes: list[str]) -> BaseModel | None:  # noqa: ANN401 - whatever TOML holds
    where = f"[[device]] {number}"
    if not isinstance(table, dict):
        mistakes.append(f"{where}: must be a table, not {table!r}")
        return None
    if isinstance(name := table.get("id"), str):
        where += f' (id "{name}")'
    if not isinstance(driver := table.get("driver"), str):
        mistakes.append(f'{where} driver: missing; for example driver = "label_oepl"')
        return None
    try:
        model = config_type(driver)
    except ConfigError as error:
        mistakes.append(f"{where} driver: {error}")
        return None
    found = find_secrets(str(name), table, model.model_fields, path.parent)
    return _validated(model, found, where, mistakes)


def _validated(model: type[BaseModel], table: dict[str, Any], where: str, mistakes: list[str]) -> BaseModel | None:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        mistakes.extend(f"{where} {line}" for line in explain(error, model))
        return None
