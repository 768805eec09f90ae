"""Find the data files that travel with the program: `config/` and `systemd/`.

In a wheel they lie in `gateway/_data/`, in a checkout at the top level. Not here: what is in them.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir(name: str) -> Path:
    """Return the folder `name` (`"config"`, `"systemd"`) of this installation."""
    packed = _PACKAGE / "_data" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name
