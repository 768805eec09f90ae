"""Two access points and one roaming label: what a proof says of faces that the other one had. No clock decides it."""

import pytest

from gateway.prices.glass import Entry, Glass


def entry(revision: int, via: str) -> Entry:
    return Entry(revision, via, "00000000000000", 100 * revision, "wave", f"content {revision}", "sent")


def sent(*faces: tuple[int, str]) -> Glass:
    glass = Glass("0000021B2C3D4E5F")
    for revision, via in faces:
        glass.send(entry(revision, via))
    return glass


def revisions(glass: Glass) -> list[int]:
    return sorted(e.revision for e in glass.entries)


def test_what_another_gave_up_while_a_push_was_under_way_stays() -> None:
    glass = sent((1, "ap-a"), (2, "ap-b"))
    glass.left("ap-a")
    assert glass.show(2, "ap-b")
    assert revisions(glass) == [1, 2]
    assert not glass.proven("content 2")


def test_what_another_gave_up_before_the_push_is_dead() -> None:
    glass = sent((1, "ap-a"))
    glass.left("ap-a")
    glass.send(entry(2, "ap-b"))
    assert glass.show(2, "ap-b")
    assert glass.proven("content 2")


def test_one_more_push_settles_what_stayed() -> None:
    glass = sent((1, "ap-a"), (2, "ap-b"))
    glass.left("ap-a")
    glass.show(2, "ap-b")
    glass.send(entry(3, "ap-b"))
    glass.show(3, "ap-b")
    assert glass.proven("content 3")


def test_one_access_point_draws_in_the_order_of_its_pushes() -> None:
    glass = sent((1, "ap-a"), (2, "ap-a"))
    glass.fail(1, "ap-a", "settled", "superseded")
    glass.show(2, "ap-a")
    assert glass.proven("content 2")


def test_two_proofs_that_overlap_leave_both_in_doubt() -> None:
    glass = sent((1, "ap-a"), (2, "ap-b"))
    glass.show(1, "ap-a")
    glass.show(2, "ap-b")
    assert revisions(glass) == [1, 2]


@pytest.mark.parametrize(
    ("via", "image", "wrong"),
    [
        ("ap-a", "1234", False),
        ("ap-a", "5678", True),
        ("ap-a", None, False),
        ("ap-b", "1234", True),
        ("ap-b", None, False),
    ],
)
def test_another_image_than_the_proven_one_was_written_by_somebody_else(
    via: str, image: str | None, *, wrong: bool
) -> None:
    glass = sent((1, "ap-a"))
    assert not glass.overwritten(via, image)
    glass.show(1, "ap-a", "1234")
    assert glass.overwritten(via, image) is wrong
