"""The tills' tokens: who is let in, for how long, and that neither a kill nor two commands at once tear the file."""

import contextlib
import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import _terminal_tokens_file as tokens_file
from drivers._terminal_tokens import (
    UNKNOWN,
    Reason,
    TerminalTokens,
    Who,
    add,
    known,
    revoke,
    rotate,
)
from gateway.errors import ConfigError

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "terminals.json"


def loaded(path: Path) -> TerminalTokens:
    tokens = TerminalTokens(path)
    tokens.reload_if_changed()
    return tokens


def who(path: Path, token: str, now: datetime = NOW) -> Who:
    return loaded(path).who(token, now)


@pytest.mark.parametrize("terminal", ["till-3", "a", "0", "a_b_c", "x" * 40, "t-_"])
def test_a_new_till_is_let_in(path: Path, terminal: str) -> None:
    token = add(path, terminal, NOW)
    assert token.startswith(f"ait_{terminal}_")
    assert len(token) == len(f"ait_{terminal}_") + 43
    assert who(path, token) == Who(Reason.OK, terminal=terminal)
    assert who(path, token, NOW + 3650 * DAY).terminal == terminal


def test_two_tills_are_told_apart(path: Path) -> None:
    one, other = add(path, "till-1", NOW), add(path, "till-2", NOW)
    assert one[-43:] != other[-43:]
    assert (who(path, one).terminal, who(path, other).terminal) == ("till-1", "till-2")
    assert who(path, one.replace("till-1", "till-2")) == UNKNOWN


def test_what_is_no_token_is_unknown(path: Path) -> None:
    good = add(path, "till-3", NOW)
    tokens = loaded(path)
    wrong = [
        "",
        "ait_",
        "ait_till-3_",
        good[:-1],
        good + "A",
        good + "\n",
        " " + good,
        good.upper(),
        good.removeprefix("ait_"),
        good.replace("ait_", "aib_"),
        good.replace("till-3", "till-30"),
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        good[:-1] + "é",
        good + "é",
        good[:-1] + "=",
        good * 2,
        "ait_" + "x" * 41 + good[-44:],
        hashlib.sha256(good.encode()).hexdigest(),
        "x" * 1_000_000,
    ]
    assert [text[:100] for text in wrong if tokens.who(text, NOW) != UNKNOWN] == []
    assert tokens.who(good, NOW).reason is Reason.OK


@settings(max_examples=100)
@given(st.one_of(st.text(max_size=100), st.from_regex(r"ait_[a-z0-9_-]{1,42}_[A-Za-z0-9_-]{43}", fullmatch=True)))
def test_no_text_lets_a_stranger_in(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "strangers.json"
    if not path.exists():
        add(path, "till-3", NOW)
    assert who(path, text) == UNKNOWN


def test_before_the_file_is_read_nobody_is_known(path: Path) -> None:
    assert TerminalTokens(path).who(add(path, "till-3", NOW), NOW) == UNKNOWN


def test_every_known_token_is_compared(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    tokens = [add(path, f"till-{n}", NOW) for n in range(5)]
    compared: list[bytes] = []
    plain = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or plain(a, b))
    for token in [tokens[0], tokens[4], "ait_nobody_" + "x" * 43]:
        compared.clear()
        who(path, token)
        assert len(compared) == 5


def test_a_line_copied_to_another_till_is_nobodys(path: Path) -> None:
    token = add(path, "till-3", NOW)
    content = json.loads(path.read_text())
    content["terminals"] = {"till-4": content["terminals"]["till-3"]}
    path.write_text(json.dumps(content))
    assert who(path, token) == UNKNOWN


def test_a_rotation_overlaps(path: Path) -> None:
    old = add(path, "till-3", NOW)
    new = rotate(path, "till-3", NOW, 24 * HOUR)
    assert new != old
    just_before, just_then = NOW + 24 * HOUR - timedelta(microseconds=1), NOW + 24 * HOUR
    assert who(path, old, just_before) == who(path, new, just_before) == Who(Reason.OK, terminal="till-3")
    assert who(path, old, just_then) == Who(Reason.EXPIRED, expired="till-3")
    assert who(path, new, just_then).terminal == "till-3"


def test_a_second_rotation_never_lengthens_the_first(path: Path) -> None:
    old = add(path, "till-3", NOW)
    middle = rotate(path, "till-3", NOW, HOUR)
    rotate(path, "till-3", NOW, 10 * HOUR)
    assert who(path, old, NOW + 2 * HOUR).reason is Reason.EXPIRED
    assert who(path, middle, NOW + 2 * HOUR).reason is Reason.OK
    rotate(path, "till-3", NOW, timedelta(0))  # in a hurry: somebody has seen it
    assert who(path, middle, NOW).reason is Reason.EXPIRED


def test_old_tokens_are_forgotten(path: Path) -> None:
    first = add(path, "till-3", NOW)
    rotate(path, "till-3", NOW, HOUR)
    rotate(path, "till-3", NOW + 29 * DAY, HOUR)
    assert who(path, first, NOW + 29 * DAY).reason is Reason.EXPIRED
    rotate(path, "till-3", NOW + 31 * DAY, HOUR)
    assert who(path, first, NOW + 31 * DAY).reason is Reason.UNKNOWN
    last = [rotate(path, "till-3", NOW + 31 * DAY, DAY) for _ in range(20)]
    assert len(known(path)["till-3"]) == tokens_file.MAX_TOKENS
    assert who(path, last[-1], NOW + 40 * DAY).reason is Reason.OK


def test_a_revoked_till_is_out_at_once(path: Path) -> None:
    tokens = TerminalTokens(path)
    one, other = add(path, "till-3", NOW), add(path, "till-4", NOW)
    two = rotate(path, "till-3", NOW, DAY)
    assert tokens.reload_if_changed()
    assert revoke(path, "till-3") == 2
    assert tokens.reload_if_changed()
    assert tokens.who(one, NOW) == tokens.who(two, NOW) == UNKNOWN
    assert tokens.who(other, NOW).terminal == "till-4"
    assert add(path, "till-3", NOW) not in {one, two}


def test_what_is_listed(path: Path) -> None:
    assert known(path) == {}
    add(path, "till-4", NOW)
    add(path, "till-3", NOW)
    rotate(path, "till-3", NOW + HOUR, DAY)
    assert [(name, [(one.made_at, one.not_after) for one in tokens]) for name, tokens in known(path).items()] == [
        ("till-3", [(NOW + HOUR, None), (NOW, NOW + HOUR + DAY)]),
        ("till-4", [(NOW, None)]),
    ]


@pytest.mark.parametrize("terminal", ["", "Till", "-a", "_a", "x" * 41, "till 3", "till-3\n", "../x", "é"])
def test_a_bad_id_is_told(path: Path, terminal: str) -> None:
    with pytest.raises(ConfigError, match="is no id of a till"):
        add(path, terminal, NOW)
    assert not path.exists()


def test_mistakes_are_told(path: Path) -> None:
    add(path, "till-3", NOW)
    with pytest.raises(ConfigError, match="till-3 has a token already: use rotate"):
        add(path, "till-3", NOW)
    with pytest.raises(ConfigError, match=r'no till "till-4" has a token; there are: till-3'):
        rotate(path, "till-4", NOW, DAY)
    with pytest.raises(ConfigError, match="till-4"):
        revoke(path, "till-4")
    with pytest.raises(ConfigError, match="is not there yet: start the gateway once"):
        add(path.parent / "none" / "terminals.json", "till-3", NOW)


def test_the_number_of_tills_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_file, "MAX_TERMINALS", 2)
    add(path, "till-1", NOW)
    add(path, "till-2", NOW)
    with pytest.raises(ConfigError, match="more than 2 tills"):
        add(path, "till-3", NOW)
    assert list(known(path)) == ["till-1", "till-2"]


def test_the_file_keeps_no_token_and_is_ours_alone(path: Path) -> None:
    token = add(path, "till-3", NOW)
    before = os.umask(0)
    try:
        second = rotate(path, "till-3", NOW, DAY)
    finally:
        os.umask(before)
    text = path.read_text()
    assert token[-43:] not in text
    assert second[-43:] not in text
    assert hashlib.sha256(token.encode()).hexdigest() in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert "sha256" not in repr(known(path))


def test_it_is_read_only_when_it_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = TerminalTokens(path)
    assert not tokens.reload_if_changed()  # no file, no tills
    add(path, "till-3", NOW)
    assert tokens.reload_if_changed()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: pytest.fail("read again"))
        assert not tokens.reload_if_changed()
    rotate(path, "till-3", NOW, DAY)
    assert tokens.reload_if_changed()
    path.unlink()
    assert tokens.reload_if_changed()
    assert not tokens.reload_if_changed()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"version": 2, "terminals": {}}',
        b'{"terminals": {"Till": []}}',
        b'{"terminals": {"till-3": [{"sha256": "SECRET", "made_at": "2027-03-01T12:00:00Z"}]}}',
        b'{"terminals": {"till-3": [{"sha256": "' + b"0" * 64 + b'", "made_at": "2027-03-01T12:00:00"}]}}',
        b'{"terminals": {}, "SECRET": 1}',
        b"root:SECRET:1\n",
        pytest.param(b'{"terminals": {}}'.ljust(tokens_file.MAX_BYTES + 1), id="too large"),
    ],
)
def test_a_damaged_file_is_told_and_the_shop_goes_on(path: Path, content: bytes) -> None:
    token = add(path, "till-3", NOW)
    good = path.read_bytes()
    tokens = loaded(path)
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"terminals\.json") as told:
            tokens.reload_if_changed()
        assert "SECRET" not in str(told.value)
        assert "\n" not in str(told.value)
        assert tokens.who(token, NOW).terminal == "till-3"
    with pytest.raises(ConfigError):
        add(path, "till-4", NOW)
    assert path.read_bytes() == content  # never overwritten: it may be mended
    path.write_bytes(good)
    assert tokens.reload_if_changed()


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_told(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with contextlib.suppress(ConfigError):
        assert tokens_file.read(path).terminals == {}


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_lets_nobody_in(path: Path, mode: int) -> None:
    add(path, "till-3", NOW)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="run: chmod 600"):
        loaded(path)


def test_a_folder_in_its_place_is_told(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        loaded(path)


@pytest.mark.parametrize("step", ["unlink", "fsync", "replace"])
def test_a_kill_leaves_the_old_file(path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    token = add(path, "till-3", NOW)
    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, killed)
        with pytest.raises(Killed):
            revoke(path, "till-3")
    assert who(path, token).terminal == "till-3"
    assert revoke(path, "till-3") == 1  # neither a lock nor a half file is in the way
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    token = add(path, "till-3", NOW)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match="cannot be changed: No space left on device"):
            rotate(path, "till-3", NOW, DAY)
    assert who(path, token).terminal == "till-3"


def test_commands_at_once_lose_nothing_and_a_reader_sees_no_half(path: Path) -> None:
    add(path, "till-0", NOW)
    reader = loaded(path)

    def one(number: int) -> str:
        token = add(path, f"till-{number}", NOW)
        reader.reload_if_changed()
        return token

    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(one, range(1, 41)))
    final = loaded(path)
    assert [final.who(token, NOW).terminal for token in tokens] == [f"till-{n}" for n in range(1, 41)]


def test_a_lock_that_is_never_given_back_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_file, "LOCK_WAIT_S", 0)
    with tokens_file.changing(path), pytest.raises(ConfigError, match="another command changes the tokens"):
        add(path, "till-3", NOW)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_the_gateways_user(path: Path) -> None:
    os.chown(path.parent, 4242, 4242)
    add(path, "till-3", NOW)
    assert (path.stat().st_uid, path.stat().st_gid) == (4242, 4242)
    os.chown(path, 4343, 4343)  # the folder is another's: the file's own user counts
    rotate(path, "till-3", NOW, DAY)
    assert (path.stat().st_uid, path.stat().st_gid) == (4343, 4343)
