"""Data files are found in a checkout and in a wheel."""

from pathlib import Path

import pytest

from gateway import data_files


def test_a_checkout_has_them_at_its_top_level() -> None:
    assert (data_files.data_dir("config") / "templates" / "standard.toml").is_file()


def test_a_wheel_has_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "gateway"
    (package / "_data" / "config").mkdir(parents=True)
    (package.parent / "config").mkdir()  # some other distribution's
    monkeypatch.setattr(data_files, "_PACKAGE", package)
    assert data_files.data_dir("config") == package / "_data" / "config"
