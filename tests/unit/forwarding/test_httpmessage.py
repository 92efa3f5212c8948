"""The HTTP of health checks: what is a request, and what goes back."""

from __future__ import annotations

import pytest

from heraldlb.forwarding.httpmessage import HEAD_LIMIT, BadRequestError, Request, response, take_request

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Request(), id="as any client asks"),
        pytest.param("GET /any?x=1 HTTP/1.1\nHOST:a\n\n", Request(), id="any target, bare line feeds"),
        pytest.param("\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", Request(), id="no content"),
        pytest.param("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", Request(head_only=True), id="HEAD"),
        pytest.param(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
            Request(persistent=False),
            id="to be closed",
        ),
        pytest.param("GET / HTTP/1.0\r\n\r\n", Request(http_1_0=True, persistent=False), id="HTTP/1.0"),
        pytest.param(
            "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", Request(http_1_0=True), id="HTTP/1.0 kept alive"
        ),
        pytest.param(
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            Request(persistent=False, has_content=True),
            id="content that nobody reads",
        ),
    ],
)
def test_requests(text: str, expected: Request) -> None:
    whole = bytearray(text.encode())
    buffer = bytearray()
    for octet in whole[:-1]:
        buffer.append(octet)
        assert take_request(buffer) is None
    buffer += whole[-1:] + b"GET"
    assert take_request(buffer) == expected
    assert buffer == b"GET"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="no request line"),
        pytest.param(b"\x16\x03\x01\x00\xa5\r\n\r\n", 400, id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400, id="a folded field"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, id="a blank before the colon"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\n", 505, id="HTTP/2"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: " + b"a" * HEAD_LIMIT, 431, id="endless"),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(BadRequestError) as raised:
        take_request(bytearray(data))
    assert raised.value.status == status


@pytest.mark.parametrize(
    ("request_", "first", "more", "content"),
    [
        (Request(), "HTTP/1.1 200 OK", "", "{}"),
        (Request(head_only=True), "HTTP/1.1 200 OK", "", ""),
        (Request(persistent=False), "HTTP/1.1 200 OK", "Connection: close\r\n", "{}"),
        (Request(http_1_0=True), "HTTP/1.0 200 OK", "Connection: keep-alive\r\n", "{}"),
    ],
)
def test_responses(request_: Request, first: str, more: str, content: str) -> None:
    sent = response(request_, 200, {"Content-Type": "application/json"}, b"{}", DATE).decode()
    assert sent == (
        f"{first}\r\nContent-Type: application/json\r\nDate: {DATE}\r\nContent-Length: 2\r\n{more}\r\n{content}"
    )
