"""API keys: what a key file may say, whose a key is, and that no error repeats anything of either."""

import hashlib
import hmac
import pickle
from pathlib import Path

import pytest

from app.keys import MAX_KEYS, KeysError, parse_keys
from deployments import new_key
from deployments.config.api_keys import VARIABLE, read_keys
from deployments.launcher.addresses import Address
from deployments.launcher.keys import resolve
from deployments.launcher.serve_config import describe_exposure

ALICE = hashlib.sha256(b"alice's key").hexdigest()
BOB = hashlib.sha256(b"bob's key").hexdigest()
LINES = f"alice:{ALICE}\nbob:{BOB}\n"


def test_a_key_has_the_name_of_its_line() -> None:
    keys = parse_keys(LINES, "file")
    assert [keys.caller(key) for key in (b"alice's key", b"bob's key", b"mallory's key")] == ["alice", "bob", None]


@pytest.mark.parametrize(
    "key", [b"", b"alice", ALICE.encode(), bytes.fromhex(ALICE), b"alice's key ", b"\xff" * 100_000]
)
def test_what_is_no_key_is_nobodys(key: bytes) -> None:
    assert parse_keys(LINES, "file").caller(key) is None


def test_comments_empty_lines_spaces_and_either_case_are_read() -> None:
    text = f"# the team\r\n\r\n  alice:{ALICE.upper()}  \r\n\tbob:{BOB}"
    keys = parse_keys(text, "file")
    assert [keys.caller(key) for key in (b"alice's key", b"bob's key")] == ["alice", "bob"]


@pytest.mark.parametrize("key", [b"alice's key", b"bob's key", b"mallory's key"])
def test_every_key_is_compared_with_in_constant_time(key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    real = hmac.compare_digest

    def counted(known: bytes, given: bytes) -> bool:
        compared.append(len(given))
        return real(known, given)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    parse_keys(LINES, "file").caller(key)
    assert compared == [32, 32]


@pytest.mark.parametrize(
    "line",
    [
        "alice",
        "alice:",
        f":{ALICE}",
        ALICE,
        f"alice:{ALICE[:-1]}",
        f"alice:{ALICE}0",
        f"alice:{ALICE[:-1]}g",
        f"alice: {ALICE}",
        f"alice:{ALICE}:{ALICE}",
        f"alice:{ALICE} # hers",
        f"al ice:{ALICE}",
        f"alic\u00e9:{ALICE}",
        f"-alice:{ALICE}",
        f"{'a' * 33}:{ALICE}",
        "alice:fib_Vs4JfeUenX-zlGhweZzbW36uLdMp0B-96SBMUIlfCXg",
        f"bob:{BOB}",
        f"bob:{ALICE}",  # one name, two keys
        f"alice:{BOB}",  # one key, two names
    ],
)
def test_a_broken_line_is_an_error_that_names_it_and_repeats_nothing(line: str) -> None:
    with pytest.raises(KeysError) as caught:
        parse_keys(f"bob:{BOB}\n\n{line}\n", "keys.txt")
    message = str(caught.value)
    assert message.startswith("keys.txt, line 3: ")
    assert "\n" not in message
    assert repeated(message) == set()


def repeated(message: str) -> set[str]:
    """Which parts of hashes, keys and names stand in it."""
    return {part for part in (ALICE[:8], BOB[:8], "fib_V", "alice", "bob") if part in message.lower()}


@pytest.mark.parametrize("text", ["", "\n \n", "# alice:0\n"])
def test_no_keys_at_all_are_an_error(text: str) -> None:
    with pytest.raises(KeysError, match=r"^keys\.txt: no keys$"):
        parse_keys(text, "keys.txt")


def test_more_keys_than_can_be_compared_with_are_an_error() -> None:
    lines = [f"n{n}:{n:064x}" for n in range(MAX_KEYS + 1)]
    assert len(parse_keys("\n".join(lines[1:]), "file").digests) == MAX_KEYS
    with pytest.raises(KeysError, match="more than"):
        parse_keys("\n".join(lines), "file")


def test_keys_cross_processes_and_do_not_print_their_hashes() -> None:
    keys = parse_keys(LINES, "file")
    assert pickle.loads(pickle.dumps(keys)) == keys  # noqa: S301 (our own bytes)
    assert repeated(repr(keys)) == set()


def test_the_file_or_the_variable_gives_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("\ufeff" + LINES)
    expected = parse_keys(LINES, "file")
    assert read_keys(str(path), {}) == expected
    assert read_keys(None, {VARIABLE: LINES}) == expected
    assert read_keys(None, {VARIABLE: f"alice:{ALICE},bob:{BOB}"}) == expected
    assert read_keys(None, {}) is None


def test_what_cannot_be_read_is_an_error_and_never_means_no_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(LINES)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").touch()
    for path in ("missing", "", "bytes", "empty"):
        with pytest.raises(KeysError, match=r"cannot read api_keys_file|no keys"):
            read_keys(str(tmp_path / path), {})
    for environ in ({VARIABLE: ""}, {VARIABLE: " , \n"}):
        with pytest.raises(KeysError, match=f"^{VARIABLE}: no keys$"):
            read_keys(None, environ)
    with pytest.raises(KeysError, match="twice"):
        read_keys(str(tmp_path / "keys"), {VARIABLE: LINES})


def test_the_launcher_finds_the_keys_and_makes_their_path_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("keys").write_text(LINES)
    config = {"applications": [{"args": {"api_keys_file": "keys"}}]}
    assert resolve(config, None, {})
    assert config == {"applications": [{"args": {"api_keys_file": str(tmp_path / "keys")}}]}
    config = {"applications": [{"args": {"api_keys_file": "other"}}]}
    assert resolve(config, "keys", {})
    assert config == {"applications": [{"args": {"api_keys_file": str(tmp_path / "keys")}}]}


@pytest.mark.parametrize("override", ["", "missing"])
def test_the_launcher_refuses_a_file_that_it_cannot_read(override: str) -> None:
    with pytest.raises(KeysError):
        resolve({"applications": [{"args": None}]}, override, {})


def test_the_launcher_finds_no_keys_where_there_are_none() -> None:
    assert not resolve({"applications": [{"args": {"api_keys_file": None}}, {}]}, None, {})
    assert resolve({"applications": [{}]}, None, {VARIABLE: LINES})


def test_listening_beyond_loopback_without_keys_is_warned_of() -> None:
    for host in ("127.0.0.1", "127.0.1.1", "::1"):
        assert describe_exposure(Address((host,), 8000), has_keys=False) == ""
    exposed = Address(("127.0.0.1", "192.0.2.1"), 8000)
    assert "no API keys" in describe_exposure(exposed, has_keys=False)
    with_keys = describe_exposure(exposed, has_keys=True)
    assert "no API keys" not in with_keys
    assert "TLS" in with_keys


def test_make_key_prints_a_key_and_a_line_that_accepts_it(capsys: pytest.CaptureFixture[str]) -> None:
    keys = []
    for _ in range(2):
        assert new_key.main(["alice"]) == 0
        key, line = [text.strip() for text in capsys.readouterr().out.splitlines() if text.startswith("  ")]
        assert parse_keys(line, "file").caller(key.encode()) == "alice"
        keys.append(key)
    assert len(set(keys)) == 2
    assert all(key.startswith("fib_") and len(key) == 47 for key in keys)


def test_make_key_without_a_name_says_how_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        new_key.main([""])
    assert "NAME is missing: make key NAME=alice" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a:b", "a b", "a" * 33])
def test_make_key_refuses_a_name_that_the_service_would(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        new_key.main([name])
    assert "NAME" in capsys.readouterr().err
