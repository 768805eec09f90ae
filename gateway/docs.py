"""Writes what is documented from what is true: the example configuration, the reference, the README's driver table.

`python -m gateway.docs` writes, `python -m gateway.docs --check` says what is stale (a test does it too). For
developers, in a checkout. Not here: the contract with head office (`aisled contract`).
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.cli import parser
from gateway.codes import CodeTemplate
from gateway.config import LISTS, REQUIRED, SECTIONS
from gateway.config_errors import as_toml
from gateway.driver_index import config_type, driver_names, load_driver
from gateway.messages import Fact, GatewayHealth, fact_types

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- drivers: written by python -m gateway.docs -->", "<!-- end of drivers -->"
IN_EVERY_DRIVER = ("id", "driver", "enabled")
ABOVE_DATA = ("at", "source", "id", "cause")  # members of the event itself
# Right values for fields whose model names none.
EXAMPLES = {
    ("label_oepl", "id"): "ap-1",
    ("sensor_mqtt", "id"): "sensors",
    ("label_oepl", "url"): "http://10.20.0.11",
    ("label_oepl", "lock"): 1,
    ("checkout_http", "id"): "tills",
    ("checkout_poslog", "id"): "poslog",
    ("rfid_llrp", "id"): "rfid-door",
}
# What the example of another field needs beside it, or the check of the whole table.
GIVEN = {(CodeTemplate, "field"), ("rfid_llrp", "fingerprint")}
HEAD = """\
# The configuration of one gateway. Written by `python -m gateway.docs`; a test loads it.
# A line that starts with "# name = value" is optional and shows the default, or an example where there is none.
# Paths in *_file fields: absolute, or a name in systemd's credentials folder, or beside this file. The environment
# may name them too: AISLED_HQ_PASSWORD_FILE for [hq], AISLED_<ID OF THE DEVICE>_PASSWORD_FILE for a device.
"""
_GRADE = re.compile(r"Grade: `?([a-z]+)")


def example_toml() -> str:
    """Return `config/aisled.example.toml`."""
    parts = [HEAD]
    for name, model in SECTIONS.items():
        required = "" if name in REQUIRED else " This table may be left out."
        parts.append(f"\n# {_first_line(model)}{required}\n[{name}]\n" + "".join(_toml_fields(model, "")))
    for name, model in LISTS.items():
        parts.append(f"\n# {_first_line(model)} Any number of tables, or none.\n[[{name}]]\n")
        parts += _toml_fields(model, "")
    parts += [_device_toml(name) for name in driver_names()]
    return "".join(parts)


def reference() -> str:
    """Return `docs/reference.md`."""
    parts = ["# Reference\n\nWritten by `python -m gateway.docs` from the code itself; a test says when it is stale.\n"]
    parts += ["\n## Commands\n", *_commands(parser(), "aisled")]
    parts += ["\n## Configuration\n\n`config/aisled.example.toml` has every field with a value.\n"]
    for name, model in SECTIONS.items():
        parts += [f"\n### [{name}]\n\n{_first_line(model)}\n\n", *_field_table(model, ())]
    for name, model in LISTS.items():
        parts += [f"\n### [[{name}]]\n\n{_first_line(model)}\n\n", *_field_table(model, ())]
    for name in driver_names():
        parts += [f'\n### [[device]] driver = "{name}"\n\n{_first_line(load_driver(name))}\n\n']
        parts += _field_table(config_type(name), IN_EVERY_DRIVER)
    parts += ["\n## Facts\n\nEach travels as a CloudEvent `aisled.<type>.v1`; `data` holds these members.\n\n"]
    parts += ["| type | stream | what it says | data |\n|---|---|---|---|\n", *map(_fact_row, fact_types().items())]
    parts += ["\n## Metrics\n\nOnce a minute, in `aisled.gateway.health.v1` and in the retained `up/health`.\n\n"]
    parts += [f"- `{name}`\n" for name in _data_members(GatewayHealth)]
    return "".join(parts)


def driver_table() -> str:
    """Return the README's table of drivers."""
    rows = [f"| `{name}` | {_first_line(load_driver(name))} | {_grade(name)} |\n" for name in driver_names()]
    return "".join(["| driver | what it speaks to | grade |\n|---|---|---|\n", *rows])


def with_driver_table(readme: str) -> str:
    """Return a README with a fresh table between its markers; as it is when it has none."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    return f"{before}{START}\n{driver_table()}{END}{after}" if start and end else readme


def wanted(root: Path) -> dict[Path, str]:
    """Return every written file with the text that it should have."""
    readme = root / "README.md"
    return {
        root / "config" / "aisled.example.toml": example_toml(),
        root / "docs" / "reference.md": reference(),
        readme: with_driver_table(readme.read_text("utf-8")),
    }


def main(root: Path = ROOT) -> int:
    """Write or check; returns 1 when something is stale."""
    arguments = argparse.ArgumentParser(prog="python -m gateway.docs", description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing, name what is stale")
    check = arguments.parse_args().check
    stale = [path for path, text in wanted(root).items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        sys.stdout.write(f"{'stale' if check else 'written'}: {path}\n")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted(root)[path], "utf-8")
    return 1 if check and stale else 0


def _device_toml(name: str) -> str:
    given = EXAMPLES.get((name, "id"), name.replace("_", "-"))
    lines = [
        f"\n# {_first_line(load_driver(name))}\n[[device]]",
        f'id = "{given}" # name of the device, unique in the shop',
        f'driver = "{name}"',
        "# false keeps the table but does not start the driver",
        "# enabled = true\n",
    ]
    return "\n".join(lines) + "".join(_toml_fields(config_type(name), name))


def _toml_fields(model: type[BaseModel], driver: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if driver and name in IN_EVERY_DRIVER:
            continue
        value = as_toml(_value(name, field, driver))
        needed = field.is_required() or not GIVEN.isdisjoint({(model, name), (driver, name)})
        yield f"# {field.description}\n{'' if needed else '# '}{name} = {value}\n"


def _value(name: str, field: FieldInfo, driver: str) -> Any:  # noqa: ANN401 - whatever a field may hold
    """Return the default, or a right value where there is none."""
    if not field.is_required() and field.default is not None:
        return field.default
    if field.examples:
        return field.examples[0]
    return EXAMPLES[driver, name]


def _field_table(model: type[BaseModel], left_out: tuple[str, ...]) -> Iterator[str]:
    yield "| field | default | what it is |\n|---|---|---|\n"
    for name, field in model.model_fields.items():
        if name not in left_out:
            yield f"| `{name}` | {_default(field)} | {_cell(field.description or '')} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(must be set)"
    return "not set" if field.default is None else f"`{as_toml(field.default)}`"


def _commands(command: argparse.ArgumentParser, name: str) -> Iterator[str]:
    yield f"\n### {name}\n\n{command.description}\n"
    if command.epilog and "example: " in command.epilog:
        yield f"\n    {command.epilog.removeprefix('example: ')}\n"
    options = [action for action in command._actions if action.dest != "help" and not _is_group(action)]  # noqa: SLF001 - argparse names no other way
    if options:
        yield "\n| option | what it does |\n|---|---|\n"
    for action in options:
        words = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        yield f"| `{words}` | {_cell((action.help or '') % {'default': action.default})} |\n"
    for action in command._actions:  # noqa: SLF001
        if _is_group(action) and isinstance(action.choices, dict):
            for word, child in action.choices.items():
                yield from _commands(child, f"{name} {word}")


def _is_group(action: argparse.Action) -> bool:
    return action.nargs == argparse.PARSER


def _fact_row(item: tuple[str, type[Fact]]) -> str:
    name, kind = item
    members = ", ".join(f"`{member}`" for member in _data_members(kind))
    stream = ", ".join(get_args(kind.stream)) or kind.stream
    return f"| `{name}` | {stream} | {_cell(_first_line(kind))} | {members} |\n"


def _data_members(kind: type[Fact]) -> list[str]:
    return [name for name in kind.model_fields if name not in ABOVE_DATA]


def _first_line(documented: object) -> str:
    return (documented.__doc__ or "").strip().partition("\n")[0]


def _grade(name: str) -> str:
    found = _GRADE.search(load_driver(name).__doc__ or "")
    return found[1] if found else "simulated"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
