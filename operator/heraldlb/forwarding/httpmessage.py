"""The little of HTTP/1 that a health check needs: requests whose content does not matter, short responses. Pure.

RFC 9110 and RFC 9112. Every method and target is taken alike, as Go's HTTP server hands them to a handler that does
not look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

HEAD_LIMIT: Final = 8192
"""Bytes of a request before its content."""

_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/(\d)\.(\d)")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")


class BadRequestError(Exception):
    """What came is no request that is answered; `status` is what to say, before the connection is closed."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request, reduced to what its response depends on."""

    head_only: bool = False
    """HEAD: the response has no content."""
    http_1_0: bool = False
    persistent: bool = True
    """The connection stays open for further requests."""
    has_content: bool = False
    """Content follows, which nobody reads."""


def take_request(buffer: bytearray) -> Request | None:
    """Take the next request off the front of `buffer`; None: it is not complete yet. Raises BadRequestError."""
    del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]
    end = _END_OF_HEAD.search(buffer, 0, HEAD_LIMIT)
    if end is None:
        if len(buffer) >= HEAD_LIMIT:
            raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return None
    first, *lines = re.split(rb"\r?\n", bytes(buffer[: end.start()]))
    del buffer[: end.end()]
    line = _REQUEST_LINE.fullmatch(first)
    if line is None:
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    method, _, major, minor = line.groups()
    if major != b"1":
        raise BadRequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    fields = _fields(lines)
    http_1_0 = minor == b"0"
    if not http_1_0 and len(fields.get(b"host", ())) != 1:
        raise BadRequestError(HTTPStatus.BAD_REQUEST)
    options = {part.strip().lower() for value in fields.get(b"connection", ()) for part in value.split(b",")}
    has_content = b"transfer-encoding" in fields or any(each != b"0" for each in fields.get(b"content-length", ()))
    wanted = b"keep-alive" in options if http_1_0 else b"close" not in options
    return Request(method == b"HEAD", http_1_0, wanted and not has_content, has_content)


def response(request: Request, status: int, headers: Mapping[str, str], body: bytes, date: str) -> bytes:
    """The response to `request`. `date`: the time as RFC 9110 section 5.6.7 has it."""
    version = "1.0" if request.http_1_0 else "1.1"
    fields = {**headers, "Date": date, "Content-Length": str(len(body))}
    if not request.persistent:
        fields["Connection"] = "close"
    elif request.http_1_0:
        fields["Connection"] = "keep-alive"
    lines = [f"HTTP/{version} {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    head = "\r\n".join((*lines, "", "")).encode()
    return head if request.head_only else head + body


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        fields.setdefault(match[1].lower(), []).append(match[2])
    return fields
