"""The wheel: built as a release would be, put into an empty environment, and run there, away from the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from gateway import __version__

ROOT = Path(__file__).parent.parent
OURS = {"gateway", "drivers", "models"}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` folder of an environment that holds our wheel, and borrows only the libraries of this one."""
    folder = tmp_path_factory.mktemp("packaging")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("aisled-*.whl")
    environment = folder / "env"
    venv.create(environment, with_pip=False, symlinks=True)
    paths = {"base": str(environment), "platbase": str(environment)}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    put = ["--python", str(environment / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *put], check=True, capture_output=True)
    for library in libraries():
        (site / library.name).exists() or (site / library.name).symlink_to(library)
    return environment / "bin"


def libraries() -> Iterator[Path]:
    """Yield what is in our own site-packages, less the editable install of the checkout."""
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and not path.name.startswith(
            ("aisled", "_aisled", "__editable__", "pip", "setuptools")
        ):
            yield path


def run(installed: Path, folder: Path, *words: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    command = [str(installed / "aisled"), *words]
    return subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def test_it_runs_from_the_wheel_and_not_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "version").stdout == f"aisled {__version__}\n"
    script = "import gateway, drivers, models; print(gateway.__file__, drivers.__file__, models.__file__)"
    python = [str(installed / "python"), "-c", script]
    printed = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert str(ROOT) not in printed
    assert printed.count(str(installed.parent)) == 3


def test_the_data_files_came_along(installed: Path, tmp_path: Path) -> None:
    script = (
        "from gateway.data_files import data_dir; from gateway.config import load;"
        "folder = data_dir('config');"
        "print(load(folder / 'demo.toml').store.id, load(folder / 'aisled.example.toml').store.id);"
        "print(sorted(path.name for path in (folder / 'templates').glob('*.toml')))"
    )
    python = [str(installed / "python"), "-c", script]
    printed = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed.startswith("demo 0421\n")
    assert "promo.toml" in printed


def test_the_contract_is_printed(installed: Path, tmp_path: Path) -> None:
    printed = run(installed, tmp_path, "contract")
    assert printed.returncode == 0, printed.stderr
    assert 'asyncapi: "3.0.0"' in printed.stdout


@pytest.mark.long
def test_the_demo_runs_from_the_wheel_and_every_promise_holds(installed: Path, tmp_path: Path) -> None:
    played = run(installed, tmp_path, "demo", "--seconds", "24", "--labels", "8", "--json", timeout_s=180)
    assert played.returncode == 0, played.stdout + played.stderr
    figures = json.loads(played.stdout)
    assert (figures["ok"], figures["broken"]) == (True, [])
    assert figures["labels"] == 16
    assert figures["labels_changed"] >= 16
    assert figures["waves_converged"] >= 1
    assert (figures["overcharged"], figures["missing_events"], figures["wrong_labels"]) == (0, 0, 0)
    assert figures["sale_lines"] > figures["sales_from_cache"] > 0  # both ways of selling are shown
    wrong = ("sales_above_shelf", "sales_missing", "sales_twice", "sales_wrong", "sale_mismatches")
    assert [figures[name] for name in wrong] == [0] * len(wrong)


def test_no_library_has_a_package_of_our_names() -> None:
    rivals = {found.metadata["Name"] for found in distributions() if OURS & set(top_level(found))}
    assert rivals <= {"aisled"}


def top_level(distribution: Distribution) -> list[str]:
    files = distribution.files or []
    return [file.parts[0].removesuffix(".py") for file in files if not file.parts[0].endswith(("-info", ".pth"))]
