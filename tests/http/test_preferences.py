"""What a caller prefers, header by header: RFC 7240, and Idempotency-Key."""

import pytest
from fastapi import HTTPException, Request

from app.http.preferences import MAX_LENGTH, Preferences, idempotency_key, preferences_of, wants_job


def request(name: str, *values: str) -> Request:
    """A request with these headers of one name."""
    return Request({"type": "http", "headers": [(name.encode(), value.encode("latin-1")) for value in values]})


@pytest.mark.parametrize(
    ("headers", "respond_async", "wait_seconds"),
    [
        ([], False, None),
        (["respond-async"], True, None),
        (["Respond-ASYNC"], True, None),
        (["respond-async, wait=10"], True, 10),
        (["wait=10,respond-async"], True, 10),
        (["respond-async", "wait=10"], True, 10),
        (["  respond-async ,\twait = 10 "], True, 10),
        (['respond-async; foo=bar, wait="10"'], True, 10),
        (['respond-async=""'], True, None),
        (["respond-async;wait=5"], True, None),
        (["wait=0"], False, 0),
        (["wait=30"], False, 30),
        (["wait=31"], False, 30),
        (["wait=" + "9" * 500], False, 30),
        (["wait=5, wait=7", "wait=9"], False, 5),
        (['return=minimal, foo="a, respond-async", respond-async'], True, None),
        (['foo="a\\", respond-async"'], False, None),
        (['return="half, respond-async, wait=3'], True, 3),
        (["respond-async=yes"], False, None),
        (["respond async"], False, None),
        (["wait"], False, None),
        (["wait="], False, None),
        (["wait=-1"], False, None),
        (["wait=1.5"], False, None),
        (["wait=ten, respond-async"], True, None),
        (["wait=\xb2"], False, None),
        (["", ",", ",,respond-async,"], True, None),
        (["=;=, \xff\xff, respond-async"], True, None),
        (["respond-async" + " " * MAX_LENGTH], False, None),
    ],
)
def test_preferences_are_read_and_all_else_is_ignored(
    headers: list[str], respond_async: bool, wait_seconds: int | None
) -> None:
    found = preferences_of(request("prefer", *headers), 30)
    assert found == Preferences(respond_async, wait_seconds)
    assert wants_job(request("prefer", *headers)) is respond_async


@pytest.mark.parametrize(
    ("preferences", "said"),
    [
        (Preferences(), ""),
        (Preferences(respond_async=True), "respond-async"),
        (Preferences(wait_seconds=0), "wait=0"),
        (Preferences(respond_async=True, wait_seconds=60), "respond-async, wait=60"),
    ],
)
def test_what_is_applied_is_said(preferences: Preferences, said: str) -> None:
    assert preferences.applied == said


def test_a_header_of_quotes_takes_no_time() -> None:
    for header in ('"' * 60_000, '"\\' * 30_000, '"\\' * (MAX_LENGTH // 2), "," * 60_000):
        assert preferences_of(request("prefer", header), 30) == Preferences()


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("a", "a"),
        (" 8e03978e-40d5-43dd-bc93-6894a57f9324 ", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e"', "8e03978e"),
        ('"a\\"b\\\\c"', 'a"b\\c'),
        ('a"b', 'a"b'),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
        ("!~", "!~"),
    ],
)
def test_a_key_may_be_in_quotes_or_not(value: str, key: str) -> None:
    assert idempotency_key(request("idempotency-key", value)) == key


@pytest.mark.parametrize(
    "value", ["", " ", '""', '"', '"a', '"a"b', '"a";p=1', "a b", '"a b"', "x" * 256, "\xe9", "a\x7f", "a\tb"]
)
def test_what_is_no_key_is_400(value: str) -> None:
    with pytest.raises(HTTPException, match="1 to 255 visible ASCII") as refused:
        idempotency_key(request("idempotency-key", value))
    assert refused.value.status_code == 400


def test_two_keys_are_400() -> None:
    with pytest.raises(HTTPException, match="2 Idempotency-Key headers") as refused:
        idempotency_key(request("idempotency-key", "a", "a"))
    assert refused.value.status_code == 400


def test_without_the_header_there_is_none() -> None:
    assert idempotency_key(request("prefer", "respond-async")) is None


def test_long_headers_are_ignored_all_together() -> None:
    """Each space could be looked at again for each one before it."""
    spaced = "a" + " " * 900 + '"'
    assert preferences_of(request("prefer", spaced, "respond-async"), 60).respond_async
    assert not preferences_of(request("prefer", *[spaced] * 14, "respond-async"), 60).respond_async


def test_a_number_with_zeros_before_it_is_that_number() -> None:
    assert preferences_of(request("prefer", "wait=0000000010"), 60).wait_seconds == 10
