"""Templates: the shipped ones are sound at every size, and a broken one says what is wrong with it."""

from itertools import combinations, product
from pathlib import Path

import pytest

from gateway.data_files import data_dir
from gateway.errors import ConfigError, Refused
from gateway.prices import face_templates
from gateway.prices.face_templates import MARK_HEIGHT, MARK_WIDTH, layout_for, templates
from tests.prices.face_samples import DRAWN_FOR, SCALED

GOOD = '{ field = "name", box = [0, 0, 50, 20] }'


def test_the_templates_of_this_installation_are_found() -> None:
    assert set(templates()) == {"standard", "promo", "spare"}
    for layouts in templates().values():
        assert {layout.size for layout in layouts} == set(DRAWN_FOR)


@pytest.mark.parametrize(("name", "size"), list(product(["standard", "promo", "spare"], DRAWN_FOR + SCALED)))
def test_boxes_stay_apart_inside_the_panel_and_off_the_mark(name: str, size: tuple[int, int]) -> None:
    elements = layout_for(name, *size).elements
    for one in elements:
        left, top, width, height = one.box
        assert 0 <= left < left + width <= size[0]
        assert 0 <= top < top + height <= size[1]
        assert left + width <= size[0] - MARK_WIDTH or top + height <= size[1] - MARK_HEIGHT
        assert one.sizes[0] >= one.sizes[1] >= 9
    for one, other in combinations(elements, 2):
        assert not face_templates._overlap(one.box, other.box), (one, other)


def test_a_panel_takes_the_layout_of_its_own_shape() -> None:
    def drawn_for(width: int, height: int) -> tuple[int, int]:
        return min(templates()["standard"], key=lambda one: face_templates._distance(one.size, width, height)).size

    assert drawn_for(296, 152) == (296, 128)
    assert drawn_for(200, 200) == (152, 152)
    assert drawn_for(128, 296) == (122, 250)
    assert drawn_for(960, 640) == (800, 480)


@pytest.mark.parametrize("name", ["standard", "promo"])
def test_every_price_face_has_price_name_unit_price_and_bar_code(name: str) -> None:
    for layout in templates()[name]:
        assert {"price", "name", "unit_price", "barcode"} <= {one.field for one in layout.elements}


def test_a_qr_code_that_would_become_too_small_for_a_phone_is_left_out() -> None:
    large = next(one for one in templates()["standard"] if one.size == (400, 300))
    assert any(one.field == "qr" for one in face_templates._scaled(large, 300, 225).elements)
    assert not any(one.field == "qr" for one in face_templates._scaled(large, 260, 195).elements)


def test_an_unknown_template_is_refused() -> None:
    with pytest.raises(Refused, match="no face template 'weekly'"):
        layout_for("weekly", 296, 128)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[layout]]\nsize = [296, 128]", "every .*layout.* needs .*'elements'"),
        ("layout = 3", "every .*layout"),
        ("[[layout", "Expected"),
        (
            '[[layout]]\nsize = [99, 99]\nelements = [{ field = "prize", box = [0, 0, 9, 9] }]',
            "99x99, 'prize': no such",
        ),
        ('[[layout]]\nsize = [99, 99]\nelements = [{ field = "name", boxx = [0] }]', "'name': unknown boxx"),
        ('[[layout]]\nsize = [99, 99]\nelements = [{ field = "name" }]', "box"),
        ('[[layout]]\nsize = [99, 99]\nelements = [{ field = "name", box = [0, 0, 100, 9] }]', "outside the panel"),
        ('[[layout]]\nsize = [99, 99]\nelements = [{ field = "name", box = [0, 0, 9] }]', "box needs 4 whole"),
        ('[[layout]]\nsize = [99, 99]\nelements = [{ field = "name", box = 7 }]', "box needs 4 whole"),
        ('[[layout]]\nsize = [99, 99]\nelements = [{ field = "name", box = [0, 0, 9, 9.5] }]', "box needs 4 whole"),
        ('[[layout]]\nsize = [99, 99]\nelements = [{ field = "name", box = [0, 90, 99, 9] }]', "revision mark"),
        (
            '[[layout]]\nsize = [99, 99]\nelements = [{ field = "name", box = [0, 0, 9, 9], align = "top" }]',
            "align = 'top' is none of center, left, right",
        ),
        (
            f'[[layout]]\nsize = [99, 99]\nelements = [{GOOD}, {{ field = "price", box = [40, 19, 9, 9] }}]',
            "'name' and 'price' overlap",
        ),
    ],
)
def test_a_broken_template_says_what_is_wrong(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "weekly.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"weekly.toml.*{reason}"):
        face_templates._load(path)


def test_no_templates_at_all_is_a_config_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_templates, "data_dir", lambda name: tmp_path / name)
    templates.cache_clear()
    with pytest.raises(ConfigError, match="no face templates in"):
        templates()
    monkeypatch.undo()
    templates.cache_clear()
    assert (data_dir("config") / "templates").is_dir()
