"""Who may import whom: ARCHITECTURE.md as an executable rule, over every import statement, wherever it stands."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("gateway", "drivers", "models")
WORLD = {
    "asyncio",
    "time",
    "random",
    "sqlite3",
    "socket",
    "threading",
    "os",
    "subprocess",
    "secrets",
    "aiohttp",
    "paho",
}

# Below what a package stands: it may import itself and these, and nothing else of ours.
BELOW = {
    "gateway.errors": set[str](),
    "gateway.messages": set[str](),
    "gateway.driver": {"gateway.errors", "gateway.messages"},
    "gateway.notes": {"gateway.messages"},
    "gateway.prices": {
        "gateway.codes",
        "gateway.errors",
        "gateway.messages",
        "gateway.driver",
        "gateway.notes",
        "gateway.data_files",
    },
    "gateway.store": {
        "gateway.errors",
        "gateway.messages",
        "gateway.notes",
        "gateway.sale_notes",
        "gateway.tag_notes",
        "gateway.count_notes",
        "gateway.epcis",
        "gateway.prices",
    },
    "gateway.uplink": {"gateway.errors", "gateway.messages", "gateway.driver", "gateway.prices", "drivers._mqtt"},
    "gateway.sale_notes": {"gateway.messages"},
    "gateway.tag_notes": {"gateway.messages"},
    "gateway.count_notes": {"gateway.messages"},
    "gateway.rules": {
        "gateway.codes",
        "gateway.errors",
        "gateway.messages",
        "gateway.sale_notes",
        "gateway.tag_notes",
        "gateway.count_notes",
    },
    "gateway.epcis": {
        "gateway.codes",
        "gateway.errors",
        "gateway.messages",
        "gateway.driver",
        "gateway.rules.zones",
        "gateway.uplink.backoff",
    },
    "gateway.codes": {"gateway.errors"},
    "gateway.certificates": {"gateway.errors"},
    "gateway.hq": {"gateway.errors", "gateway.messages", "gateway.prices.face_money", "drivers._mqtt"},
    "drivers": {"gateway.errors", "gateway.messages", "gateway.driver"},
    "models": set[str](),
}
# Pure: the same input gives the same output, so that a replay needs no clock and a test no patience.
PURE = (
    "gateway.rules",
    "gateway.codes",
    "gateway.prices",
    "gateway.messages",
    "gateway.notes",
    "gateway.sale_notes",
    "gateway.tag_notes",
    "gateway.count_notes",
)
# Where a bug of a part must not end the whole: a driver, a rule.
SUPERVISORS = {"gateway.supervisor", "gateway.core", "gateway.requests"}
MAY_ACT = {"gateway.prices.labels", "gateway.prices.studio"}  # files of a pure package that drive the world


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for package in OURS for path in sorted((ROOT / package).rglob("*.py"))}


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Return every module that a file imports, also inside functions; `from package import module` counts as module."""
    return tuple(_imports(path, modules()))


def _imports(path: Path, known: dict[str, Path], *, late: bool = True) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree) if late else tree.body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            assert node.module is not None
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in known else node.module


def inside(module: str, package: str) -> bool:
    parts = (f"{package}.", f"{package}_") if "._" in package else f"{package}."  # a codec may be several files
    return module == package or module.startswith(parts)


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in OURS


@pytest.mark.parametrize("package", BELOW)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules().items()
        if inside(name, package)
        for imported in imports(path)
        if is_ours(imported) and not any(inside(imported, allowed) for allowed in {package, *BELOW[package]})
    ]
    assert wrong == []


def test_drivers_never_know_each_other() -> None:
    """A driver may use shared codecs (`drivers._*`), and never a simulator; a simulator is a world of its own."""
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules().items()
        if name.startswith("drivers.") and not inside(name, "drivers.simulators")
        for imported in imports(path)
        if inside(imported, "drivers") and not imported.startswith("drivers._") and imported != "drivers"
    ]
    wrong += [
        f"{name} imports {imported}"
        for name, path in modules().items()
        if inside(name, "drivers.simulators")
        for imported in imports(path)
        if is_ours(imported) and not inside(imported, "drivers.simulators") and imported != "drivers"
    ]
    assert wrong == []


def test_what_decides_touches_no_world() -> None:
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules().items()
        if any(inside(name, package) for package in PURE) and name not in MAY_ACT
        for imported in imports(path)
        if imported.partition(".")[0] in WORLD
    ]
    assert wrong == []


def test_nobody_imports_app_but_cli() -> None:
    users = {name for name, path in modules().items() for imported in imports(path) if imported == "gateway.app"}
    assert users <= {"gateway.cli"}


def test_nobody_imports_cli() -> None:
    users = {name for name, path in modules().items() for imported in imports(path) if imported == "gateway.cli"}
    assert users <= {"gateway.docs"}


def test_there_is_no_cycle() -> None:
    """At import, that is; a function may import late what would be a cycle otherwise."""
    known = modules()
    graph = {
        name: {one for one in _imports(path, known, late=False) if one in known} - {name}
        for name, path in known.items()
    }
    while graph:
        leaves = {name for name, needs in graph.items() if not needs}
        assert leaves, f"these import each other: {sorted(graph)}"
        graph = {name: needs - leaves for name, needs in graph.items() if name not in leaves}


def test_only_a_supervisor_catches_everything() -> None:
    """Elsewhere a bug must not be swallowed: a handler ends with a bare `raise`, or says who gets the error."""
    wrong = [
        f"{name}:{node.lineno}"
        for name, path in modules().items()
        if name not in SUPERVISORS
        for lines in [path.read_text("utf-8").splitlines()]
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.ExceptHandler)
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
        and "noqa: BLE001 - " not in lines[node.lineno - 1]
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]
    assert wrong == []


def test_every_file_says_what_it_is_for() -> None:
    silent = [name for name, path in modules().items() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert silent == []
