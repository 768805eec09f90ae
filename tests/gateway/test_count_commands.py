"""`aisled count`: what people read of counts, and what a spreadsheet reads."""

import csv
import io
import sqlite3
from pathlib import Path
from random import Random

import pytest
from sqlite_utils import Database

from gateway import messages as m
from gateway.cli import main
from gateway.rules.counts import Counts
from gateway.store.apply_counts import CountTables, load
from gateway.store.apply_prices import PriceTables
from tests.rules.count_kit import ZONES, Shop, epc, gtin_of

CONFIG = """
[store]
id = "0421"
timezone = "Asia/Shanghai"
currency = "CNY"
languages = ["en"]

[gateway]
id = "gw1"
data_dir = "{folder}"
"""


class Counted(Shop):
    """A shop whose tables are the gateway's own file."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.db = sqlite3.connect(folder / "aisled.db", isolation_level=None)
        for projection in (PriceTables(), CountTables()):
            projection.migrations.apply(Database(self.db))
        self.rule = Counts(self.policy, ZONES, self.world, gtin_of, load(self.db))
        (folder / "aisled.toml").write_text(CONFIG.format(folder=folder), "utf-8")
        product = m.Product(gtin=gtin_of(epc(1, 0)) or "", name={"en": "=cmd|'/c calc'!A1"})
        self.db.execute("INSERT INTO product VALUES (?, 1, ?)", [product.gtin, product.model_dump_json()])


def counted(folder: Path) -> Counted:
    shop = Counted(folder)
    for n in range(6):
        shop.world.put(epc(1 + n % 2, n), "floor")
    del shop.world.real[epc(1, 0)]
    shop.world.put(epc(2, 99), "back", listed=False)
    shop.order("count_start", session="c1")
    for _ in range(4):
        shop.sweep(Random(1), 1.0)
    return shop


def aisled(folder: Path, *words: str) -> int:
    return main(["count", *words, "--config", str(folder / "aisled.toml")])


def test_a_count_is_listed_while_it_runs_and_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = counted(tmp_path)
    assert aisled(tmp_path, "list") == 0
    assert "open since" in (said := capsys.readouterr().out)
    assert "5 of 6 found, 1 missing, 1 unexpected" in said
    shop.order("count_stop", session="c1")
    aisled(tmp_path, "list")
    assert "(command): 5 of 6 found, 1 missing, 1 unexpected, 100.0% of what is there heard" in capsys.readouterr().out
    aisled(tmp_path, "show", "c1")
    assert "2/3, 1 missing, 100% sure that they are gone" in capsys.readouterr().out


def test_the_csv_holds_products_or_items_and_no_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counted(tmp_path).order("count_stop", session="c1")
    aisled(tmp_path, "csv", "c1")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["expected"], row["found"], row["missing"], row["unexpected"]) for row in rows] == [
        ("3", "2", "1", "0"),
        ("3", "3", "0", "1"),
    ]
    assert rows[0]["name"] == "'=cmd|'/c calc'!A1"
    aisled(tmp_path, "csv", "c1", "--items")
    items = {row["epc"]: row["result"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert items[epc(1, 0)] == "missing"
    assert items[epc(2, 99)] == "unexpected"
    assert list(items.values()).count("found") == 5


def test_a_count_that_never_was_is_answered_with_those_that_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counted(tmp_path)
    assert aisled(tmp_path, "csv", "c2") != 0
    assert "no count 'c2'; the newest are: c1" in capsys.readouterr().err


def test_a_shop_without_counts_says_how_one_begins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Counted(tmp_path)
    assert aisled(tmp_path, "list") == 0
    assert "count_start" in capsys.readouterr().out
