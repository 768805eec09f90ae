"""POSLog documents that are broken, wrongly encoded or mean harm: refused, without growth, the same however cut."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._poslog_types import PoslogLimits
from tests.drivers.poslog_pages import (
    DOCUMENTS,
    LAYOUTS,
    document,
    goods,
    item,
    long_document,
    parser,
    receipt,
    tender,
    total,
    transaction,
    whole,
)

both = pytest.mark.parametrize("layout", LAYOUTS)

# Encodings


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-be"),
        ("UTF-16LE", "utf-16-le"),
        ("GB18030", "gb18030"),
        ("gbk", "gbk"),
        ("GB2312", "gb2312"),
    ],
)
def test_encodings(declared: str, codec: str) -> None:
    body = document("2", transaction("2", item(1, goods("1.00", name="苹果汁")))).decode()
    data = f'<?xml version="1.0" encoding="{declared}"?>{body}'.encode(codec)
    said = whole(data)
    assert said["error"] is None
    assert said["transactions"][0]["lines"][0]["item"] == "苹果汁"
    assert whole(data, [1] * len(data)) == said


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<?xml version='1.0' encoding='rot13'?><POSLog/>", "the encoding rot13 is not read"),
        (b"<?xml version='1.0' encoding='zlib_codec'?><POSLog/>", "the encoding zlib_codec is not read"),
        ("<POSLog/>".encode("utf-32"), "UTF-32 is not read"),
        (b"<?xml version='1.0' encoding='gbk'?><POSLog>\xff\xff</POSLog>", "not in the encoding that it declares"),
        (b"<POSLog>\xc0\xaf</POSLog>", "not well-formed"),
        ("<?xml version='1.0'?><POSLog>".encode("utf-16")[:-1], "not in the encoding that it declares"),
    ],
)
def test_encodings_that_are_not_read(data: bytes, reason: str) -> None:
    assert reason in (whole(data)["error"] or "")


@pytest.mark.parametrize("codec", ["gb18030", "utf-16"])
def test_a_wrong_byte_spoils_only_what_follows(codec: str) -> None:
    one = transaction("2", item(1, goods("1.00", name="苹果汁")))
    start = f'<?xml version="1.0" encoding="{codec}"?><POSLog>{one}<a>苹'.encode(codec)
    data = start + (b"\xff" if codec == "gb18030" else b"\x00\xd8\x00\xd8") + "</a></POSLog>".encode(codec)
    said = whole(data)
    assert (len(said["transactions"]), said["error"]) == (1, "the text is not in the encoding that it declares")
    for cut in range(len(start) - 8, len(start) + 4):
        assert whole(data, [cut]) == said


# Documents that are broken, and documents that mean harm


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cut off, or not XML"),
        (b"{}", "not well-formed"),
        (b"<html/>", "the document is html, not POSLog"),
        (b"<POSLog/><POSLog/>", "junk after document element"),
        (b"<POSLog>&nbsp;</POSLog>", "undefined entity"),
        (b"<!DOCTYPE POSLog><POSLog/>", "DOCTYPE"),
        (b'<!DOCTYPE POSLog SYSTEM "http://localhost/x.dtd"><POSLog/>', "DOCTYPE"),
        (b'<!DOCTYPE POSLog [<!ENTITY a SYSTEM "file:///etc/hostname">]><POSLog>&a;</POSLog>', "DOCTYPE"),
        (b'<!DOCTYPE POSLog [<!ENTITY % a SYSTEM "http://localhost/x"> %a;]><POSLog/>', "DOCTYPE"),
        (b"<!-- " + b"> " * 20_000, "no POSLog within"),
    ],
)
def test_documents_that_are_not_taken(data: bytes, reason: str) -> None:
    said = whole(data)
    assert reason in (said["error"] or "")
    assert said["transactions"] == []


def test_a_cut_document_gives_what_was_complete() -> None:
    data = document("6", *(transaction("6", item(1, goods("1.00")), number=str(number)) for number in (1, 2, 3)))
    ends = [at for at in range(len(data)) if data.startswith(b"</Transaction>", at)]
    for cut in range(0, len(data), 7):
        said = whole(data[:cut])
        assert len(said["transactions"]) == sum(end + 14 <= cut for end in ends)
        assert said["error"].startswith("cut off, or not XML")
        assert said["refused"] == []


def test_after_an_error_nothing_is_read() -> None:
    one = parser()
    good = document("2", transaction("2", item(1, goods("1.00"))))
    assert len(one.feed(good[: -len("</POSLog>")] + b"<")) == 1
    assert one.feed(b"<<") == []
    assert one.error is not None
    assert one.feed(good) == one.close() == []


def test_what_is_held_back_counts_before_the_end_of_the_document() -> None:
    """A long tag is held until it has doubled; a limit that is met meanwhile must not lose what is complete."""
    body = f'<Transaction odd="{"x" * 3_000}">' + transaction("2", item(1, goods("1.00")))[len("<Transaction >") :]
    data = b"<POSLog>" + body.encode()
    said = whole(data + b" " * 100, [2_900], limits=PoslogLimits(document_bytes=len(data)))
    assert (len(said["transactions"]), said["error"]) == (1, f"the document has more than {len(data)} bytes")


SMALL = PoslogLimits(document_bytes=3_000, transactions=2, elements=40, text_chars=50, attributes=8, depth=12)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (transaction("2", "") * 3, "more than 2 transactions"),
        ("<a>" * 12, "nested deeper than 12"),
        ("<a " + " ".join(f"b{n}='1'" for n in range(9)) + "/>", "more than 8 attributes"),
        (" " * 3_000, "more than 3000 bytes"),
    ],
)
def test_limits_of_a_document(body: str, reason: str) -> None:
    said = whole(document("2", body), limits=SMALL)
    assert reason in (said["error"] or "")
    assert len(said["transactions"]) == (2 if "transactions" in reason else 0)
    for size in (1, 7, 100):
        assert whole(document("2", body), [size] * 4_000, limits=SMALL) == said


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("".join(item(number, goods("1.00")) for number in range(20)), "more than 40 elements"),
        (item(1, goods("1.00", name="x" * 51)), "ItemID holds more than 50 characters"),
    ],
)
@both
def test_limits_of_a_transaction_spoil_that_one_only(layout: str, bad: str, reason: str) -> None:
    data = document(layout, transaction(layout, bad), transaction(layout, item(1, goods("1.00")), number="8"))
    said = whole(data, limits=PoslogLimits(elements=40, text_chars=50))
    assert [one["sequence"] for one in said["transactions"]] == [8]
    assert [one["reason"].partition(": ")[2] for one in said["refused"]] == [reason]


def test_different_names_are_bounded() -> None:
    body = transaction("2", "".join(f"<n{number} a{number}='1'/>" for number in range(3_000)))
    assert "more than 5000 different names" in whole(document("2", body))["error"]


def test_text_that_nobody_reads_may_be_long() -> None:
    one = receipt("6", item(1, goods("1.00")), more=f"<ReceiptImage>{'x' * 300_000}</ReceiptImage>")
    assert one.lines[0].amount_minor == 100


LAUGHS = (
    b'<!DOCTYPE POSLog [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(12))
    + b"]><POSLog>&m;</POSLog>"
)


def hostile() -> dict[str, bytes]:
    return {
        "billion laughs": LAUGHS,
        "deep": b"<POSLog>" + b"<a>" * 1_000_000,
        "attribute": b'<POSLog><a b="' + b"x" * 8_000_000,
        "tag of attributes": b"<POSLog><a" + b"".join(b" b%d=''" % n for n in range(300_000)) + b"/>",
        "name": b"<POSLog><" + b"x" * 4_000_000,
        "comment": b"<POSLog><!--" + b"x" * 4_000_000,
        "names": b"<POSLog>" + b"".join(b"<n%d/>" % n for n in range(300_000)),
        "one transaction": b"<POSLog><Transaction>" + b"<TransactionID>1</TransactionID>" * 40_000,
    }


@pytest.mark.parametrize("name", hostile())
def test_harm_is_refused_without_growth(name: str) -> None:
    data = hostile()[name]
    one = parser()
    tracemalloc.start()
    try:
        for at in range(0, len(data), 50_000):
            assert one.feed(data[at : at + 50_000]) == []
        one.close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert one.error is not None
    assert peak < 12 << 20


def test_a_tag_in_crumbs_is_not_read_over_and_over() -> None:
    one = parser(limits=PoslogLimits(token_bytes=60_000))
    calls = []
    plain = one._trees._parser

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(plain, name)

        def Parse(self, data: bytes, final: bool) -> int:  # noqa: FBT001, N802 - expat's own form
            calls.append(plain.CurrentByteIndex)
            return plain.Parse(data, final)

    one._trees._parser = Counting()
    one.feed(b'<POSLog><a b="')
    for _ in range(100_000):
        one.feed(b"x")
    assert "a tag or comment of more than 60000 bytes" in str(one.error)
    assert len(calls) < 1_500


def test_memory_stays_flat_over_a_long_document() -> None:
    one = parser()
    count, peaks = 0, []
    tracemalloc.start()
    try:
        for number, piece in enumerate(long_document(50 << 20, picture=160_000)):
            count += len(one.feed(piece))
            if number == 50:
                tracemalloc.reset_peak()
                peaks.append(tracemalloc.get_traced_memory()[0])
        peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert one.close() == []
    assert (one.error, one.refused_count) == (None, 0)
    assert count > 250
    assert peaks[1] - peaks[0] < 1 << 20


# Any bytes, any cut

CORPUS = [path.read_bytes() for path in DOCUMENTS]


@given(st.sampled_from(CORPUS), st.lists(st.integers(1, 400), max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_cut_says_the_same(data: bytes, pieces: list[int]) -> None:
    assert whole(data, pieces) == whole(data)


@pytest.mark.parametrize("data", CORPUS, ids=[path.stem for path in DOCUMENTS])
def test_one_byte_at_a_time_says_the_same(data: bytes) -> None:
    assert whole(data, [1] * len(data)) == whole(data)


@given(st.binary(max_size=400) | st.binary(max_size=100).map(lambda tail: b"<POSLog><Transaction>" + tail))
@settings(max_examples=200, deadline=None)
def test_no_bytes_can_raise(data: bytes) -> None:
    said = whole(data)
    assert said["transactions"] == []


@given(
    st.sampled_from(CORPUS),
    st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 12), st.binary(max_size=12)), min_size=1, max_size=4),
    st.lists(st.integers(1, 900), max_size=6),
)
@settings(max_examples=100, deadline=None)
def test_a_mutated_document_never_raises(data: bytes, cuts: list[tuple[int, int, bytes]], pieces: list[int]) -> None:
    for at, gone, put in cuts:
        data = data[:at] + put + data[at + gone :]
    said = whole(data, pieces)
    assert said == whole(data)
    for one in said["transactions"]:
        assert one["store"]
        assert all(isinstance(line["amount_minor"], int) for line in one["lines"])


@given(
    st.sampled_from(LAYOUTS),
    st.lists(
        st.tuples(
            st.sampled_from(["ExtendedAmount", "Quantity", "RegularSalesUnitPrice", "ItemID", "ItemLink"]),
            st.text("0123456789.-+ ,eA", max_size=6),
        ),
        max_size=6,
    ),
    st.text("0123456789.-", max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_any_line_is_read_or_refused(layout: str, fields: list[tuple[str, str]], grand: str) -> None:
    body = "".join(f"<{name}>{text}</{name}>" for name, text in fields)
    data = document(layout, transaction(layout, item(1, body) + tender(2, grand) + total(grand)))
    said = whole(data)
    assert said["error"] is None
    assert len(said["transactions"]) + len(said["refused"]) == 1
