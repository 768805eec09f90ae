"""What is documented is what is there: the written files are fresh, and nothing is left out of them."""

import argparse
import textwrap
from pathlib import Path

import pytest

import drivers
from gateway.cli import parser
from gateway.config import SECTIONS
from gateway.docs import END, START, driver_table, wanted, with_driver_table
from gateway.driver import Services
from gateway.driver_index import config_type, driver_names, load_driver
from gateway.errors import BadFrame
from gateway.messages import GatewayHealth, fact_types

ROOT = Path(__file__).parent.parent
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
EXAMPLE = (ROOT / "config" / "aisled.example.toml").read_text("utf-8")


@pytest.mark.parametrize("path", wanted(ROOT), ids=lambda path: path.name)
def test_written_files_are_fresh(path: Path) -> None:
    assert path.read_text("utf-8") == wanted(ROOT)[path], "run: python -m gateway.docs"


def test_every_field_of_the_configuration_is_documented() -> None:
    for model in [*SECTIONS.values(), *map(config_type, driver_names())]:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__module__}.{model.__name__}.{name} needs a description"
            assert f"{name} = " in EXAMPLE
            assert f"`{name}`" in REFERENCE or name in {"id", "driver", "enabled"}


def words(command: argparse.ArgumentParser, name: str) -> list[str]:
    groups = [action for action in command._actions if isinstance(action.choices, dict)]
    return [
        name,
        *(one for group in groups for word, child in group.choices.items() for one in words(child, f"{name} {word}")),
    ]


def test_every_command_is_documented_and_says_what_it_does() -> None:
    for name in words(parser(), "aisled"):
        assert f"### {name}\n" in REFERENCE


def test_every_fact_and_metric_is_documented() -> None:
    for name, kind in fact_types().items():
        assert f"| `{name}` |" in REFERENCE
        assert kind.__doc__
    for metric in set(GatewayHealth.model_fields) - {"at", "source", "id", "cause"}:
        assert f"- `{metric}`" in REFERENCE


def test_every_driver_is_in_the_table_with_its_grade() -> None:
    for name in driver_names():
        assert f"| `{name}` |" in driver_table()
        assert "Grade: " in (load_driver(name).__doc__ or ""), f"{name}: say its grade in the docstring"


def test_the_driver_that_contributing_shows_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    indented = text.partition("```python\n")[2].partition("```")[0]
    (tmp_path / "scale_acme.py").write_text(textwrap.dedent(indented), "utf-8")
    monkeypatch.setattr(drivers, "__path__", [*drivers.__path__, str(tmp_path)])
    module = load_driver("scale_acme")
    config = module.Config(id="scale-1", driver="scale_acme", host="10.20.0.31")
    assert module.Driver(config, Services(clock=None, report=None))  # type: ignore[arg-type]
    assert module.decode(b"W 01250 g\n") == '{"grams": 1250}'
    with pytest.raises(BadFrame, match="no weight"):
        module.decode(b"E 01\n")


def test_the_table_goes_between_the_markers_of_the_readme() -> None:
    fresh = with_driver_table(f"before\n{START}\nstale\n{END}\nafter\n")
    assert fresh.startswith(f"before\n{START}\n| driver |")
    assert fresh.endswith(f"{END}\nafter\n")
    assert "stale" not in fresh
    assert with_driver_table("no markers") == "no markers"
