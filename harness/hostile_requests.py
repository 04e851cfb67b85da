"""Requests that must end as a 4xx, and who answers: the application with a problem, or HAProxy or uvicorn by itself."""

from dataclasses import dataclass

from harness.raw_socket import CHUNKED, chunked, request

APP = "application/problem+json"
HAPROXY = "text/html"
PLAIN = "text/plain"
"""HAProxy's 404 and uvicorn's 400 and 403."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A whole request, and the answer it has to get."""

    name: str
    data: bytes
    status: int
    media_type: str = APP


def _body(name: str, body: bytes, status: int) -> Hostile:
    return Hostile(name, request(body), status)


def _path(path: bytes, status: int = 404, media_type: str = APP) -> Hostile:
    return Hostile(f"path {path[:30]!r}", request(line=b"POST " + path + b" HTTP/1.1"), status, media_type)


def _length(length: bytes) -> Hostile:
    return Hostile(f"length {length!r}", request(length=length), 400, HAPROXY)


def _header(name: str, header: bytes, status: int = 400, media_type: str = HAPROXY) -> Hostile:
    return Hostile(name, request(headers=header + b"\r\n"), status, media_type)


BODIES = [
    _body("10,000-digit integer", b'{"sequence_size": %b}' % (b"9" * 10_000), 422),
    _body("10,000-digit number", b'{"timeout_seconds": %b}' % (b"9" * 10_000), 422),
    _body("huge exponent", b'{"sequence_size": 1e999999999}', 422),
    _body("huge exponent of a number", b'{"timeout_seconds": 1e999999999}', 422),
    _body("tiny exponent", b'{"sequence_size": 1e-999999999}', 422),
    _body("both limits at once", b'{"sequence_size": 10000000, "num_sequences": 10000}', 422),
    _body("NaN", b'{"sequence_size": NaN}', 400),
    _body("Infinity", b'{"timeout_seconds": -Infinity}', 400),
    _body("duplicate keys", b'{"sequence_size": 1, "sequence_size": 2}', 400),
    _body("100,000 brackets", b"[" * 100_000, 413),
    _body("60,000 brackets", b"[" * 60_000, 400),
    _body("nested objects", b'{"a":' * 12_000, 400),
    _body("invalid UTF-8", b'{"execution": "\xff"}', 400),
    _body("BOM", b"\xef\xbb\xbf{}", 400),
    _body("UTF-16", "{}".encode("utf-16"), 400),
    _body("NUL", b"\x00", 400),
    _body("empty", b"", 400),
    _body("64 KB and one byte", b" " * 65537, 413),
    Hostile("declared 1 GB", request(b"", length=b"1000000000"), 413),
    Hostile(
        "declared 1 GB, expecting 100", request(b"", length=b"1000000000", headers=b"Expect: 100-continue\r\n"), 413
    ),
    Hostile("no body at all", request(b"", length=b""), 400),
    Hostile("chunks of 64 KB and a byte", request(chunked(b" " * 65536, b" "), headers=CHUNKED, length=b""), 413),
]
TYPES = [
    Hostile("a form", request(b"sequence_size=1", content_type=b"application/x-www-form-urlencoded"), 415),
    Hostile("text", request(content_type=b"text/plain"), 415),
    Hostile("a type of 10,000 bytes", request(content_type=b"application/json" + b"x" * 10_000), 415),
    Hostile("gzip", request(b"\x1f\x8b" + b"\0" * 1_000, headers=b"Content-Encoding: gzip\r\n"), 415),
    Hostile("an unknown encoding", request(headers=b"Content-Encoding: zip-bomb\r\n"), 415),
    Hostile("two encodings", request(headers=b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"), 415),
    Hostile(
        "an encoded transfer",
        request(chunked(b"{}"), headers=b"Transfer-Encoding: gzip, chunked\r\n", length=b""),
        422,
        HAPROXY,
    ),
]
HEADS = [
    _header("a header of 100 KB", b"X-A: " + b"a" * 100_000),
    _header("10,000 headers", b"\r\n".join(b"X-%d: a" % i for i in range(10_000))),
    _header("110 headers", b"\r\n".join(b"X-%d: a" % i for i in range(110))),
    _header("NUL in a header", b"X-A: a\x00b"),
    _header("space in a name", b"X A: b"),
    _header("space before the colon", b"Transfer-Encoding : chunked"),
    _header("a name beyond ASCII", b"X-\xc3\xa4: b"),
    _header("two hosts", b"Host: y"),
    _header("a WebSocket without its key", b"Connection: Upgrade\r\nUpgrade: websocket"),
    Hostile("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400, HAPROXY),
    Hostile("HTTP/0.9", b"GET /livez\r\n\r\n", 400, HAPROXY),
    Hostile("CR-only line ends", request().replace(b"\r\n", b"\r"), 400, HAPROXY),
    Hostile("a method in lower case", request(line=b"post /fibonacci HTTP/1.1"), 400, PLAIN),
    Hostile("an unknown method", request(line=b"FROBNICATE /fibonacci HTTP/1.1"), 400, PLAIN),
    Hostile("a method of 10,000 bytes", request(line=b"A" * 10_000 + b" /fibonacci HTTP/1.1"), 400, PLAIN),
    Hostile("TRACE", request(line=b"TRACE /fibonacci HTTP/1.1"), 405),
]
PATHS = [
    *(_path(path) for path in (b"//fibonacci", b"/./fibonacci", b"/%2e/fibonacci", b"/x/../fibonacci")),
    *(_path(path) for path in (b"/%2e%2e/fibonacci", b"/fibonacci/", b"/fibonacci%00", b"/FIBONACCI", b"/fibonacci;a")),
    *(_path(path) for path in (b"/%ff", b"/%zz", b"//elsewhere.example/", b"/fibonacci%0d%0aX-A:b")),
    _path(b"/" + b"a" * 8_000),
    _path(b"/" + b"a" * 20_000, 400, HAPROXY),
    _path(b"/fibonacci\x00", 400, HAPROXY),
    _path(b"/fibonacci#x", 400, HAPROXY),
    _path(b"/\xc3\xa9", 400, HAPROXY),
    _path(b"http://elsewhere.example/fibonacci", 400, HAPROXY),
    _path(b"http://x", 405),
    _path(b"*", 404, PLAIN),
    _path(b"fibonacci", 404, PLAIN),
    Hostile("CONNECT", b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", 404, PLAIN),
]
FRAMING = [
    *map(_length, (b"-1", b"+2", b"0x2", b"2 2", b"1e0", b"9" * 30, b"18446744073709551657")),
    # HAProxy takes this one for 2; uvicorn does not.
    Hostile("length 2 ** 64 + 2", request(length=b"18446744073709551618"), 400, PLAIN),
    _header("conflicting lengths", b"Content-Length: 3"),
    Hostile("chunked twice", request(chunked(b"{}"), headers=CHUNKED * 2, length=b""), 400, HAPROXY),
    Hostile("an unknown coding", request(headers=b"Transfer-Encoding: xchunked\r\n", length=b""), 400, HAPROXY),
    Hostile("a chunk size that is none", request(b"zz\r\n{}\r\n0\r\n\r\n", headers=CHUNKED, length=b""), 400, HAPROXY),
    Hostile("a chunk size of 72 bits", request(b"f" * 18 + b"\r\n{}", headers=CHUNKED, length=b""), 400, HAPROXY),
    Hostile("a chunk longer than it says", request(b"2\r\n{}XX0\r\n\r\n", headers=CHUNKED, length=b""), 400, HAPROXY),
    Hostile(
        "trailers without end", request(b"0\r\n" + b"X: 1\r\n" * 20_000, headers=CHUNKED, length=b""), 400, HAPROXY
    ),
    # Transfer-Encoding counts (RFC 9112, 6.1), and the connection ends: what follows is nobody's request.
    Hostile("both lengths", request(chunked(), headers=CHUNKED, length=b"5"), 400),
]
WEBSOCKET = Hostile(
    "a WebSocket",
    b"GET /fibonacci HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    403,
    PLAIN,
)
ALL = [*BODIES, *TYPES, *HEADS, *PATHS, *FRAMING, WEBSOCKET]
