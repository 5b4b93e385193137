"""HTTP/1.1 over a Stream of a transport: keep-alive, one request at a time, everything bounded.

Every host with a supervisord needs this at once. Where a service is rarer, `host_http` has httpx do it,
whose import costs 0.15 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from edxconsole.errors import ServiceUnavailable, TransportError
from edxconsole.numerals import natural
from edxconsole.transport.base import Stream

MAX_HEAD = 16 * 1024
MAX_BODY = 8 * 1024 * 1024
CHUNK = 64 * 1024


class ReplyLost(ServiceUnavailable):
    """The connection ended, or time ran out, before a whole answer; the request may have been done.

    `unread` is True when not one byte of the answer had come.
    """

    def __init__(self, cause: str, *, unread: bool) -> None:
        super().__init__(cause)
        self.unread = unread


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpConnection:
    """One keep-alive connection. After any failure it is closed and stays so."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.closed = False
        self.used = False
        self._buffer = b""

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes = b"", timeout: float
    ) -> Response:
        """Send one request and read its answer. Raises ReplyLost."""
        self._buffer = b""
        try:
            async with asyncio.timeout(timeout):
                await self._send(method, path, headers, body)
                return await self._receive()
        except TimeoutError as error:
            self.close()
            raise ReplyLost(f"no answer in {timeout:g} s", unread=not self._buffer) from error
        except (TransportError, OSError, EOFError) as error:
            self.close()
            raise ReplyLost("the connection ended before the answer", unread=not self._buffer) from error
        except BaseException:
            self.close()
            raise

    async def tail(self, path: str, *, headers: Mapping[str, str], timeout: float, limit: int) -> bytes:
        """The first bytes of an endless answer (supervisord's /logtail); ends the connection.

        Returns b"" unless the status is 200. Raises ReplyLost only when nothing came at all.
        """
        data = b""
        try:
            async with asyncio.timeout(timeout):
                await self._send("GET", path, headers, b"")
                status, _ = await self._head()
                while status == 200 and len(data) < limit:
                    chunk = await self._chunk()
                    if not chunk:
                        break
                    data += chunk
        except (TimeoutError, EOFError, TransportError, OSError) as error:
            if not self._buffer and not data:
                raise ReplyLost("no answer", unread=True) from error
        finally:
            self.close()
        return data[-limit:]

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.stream.writer.close()

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.used = True
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: */*", "User-Agent: edxconsole"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.stream.writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        await self.stream.writer.drain()

    async def _receive(self) -> Response:
        status, headers = await self._head()
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = await self._chunked()
        elif "content-length" in headers:
            body = await self._exactly(_length(headers["content-length"]))
        else:
            body = await self._until_eof()
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Response(status, headers, body)

    async def _head(self) -> tuple[int, dict[str, str]]:
        raw = await self._until(b"\r\n\r\n", MAX_HEAD)
        first, *rest = raw.decode("latin-1").split("\r\n")
        parts = first.split(" ", 2)
        status = natural(parts[1], 3) if len(parts) > 1 and parts[0].startswith("HTTP/1.") else None
        if status is None:
            raise ServiceUnavailable("what answers there does not speak HTTP")
        pairs = (line.partition(":") for line in rest if ":" in line)
        return status, {name.strip().lower(): value.strip() for name, _, value in pairs}

    async def _chunked(self) -> bytes:
        body = bytearray()
        while chunk := await self._chunk():
            body += chunk
            if len(body) > MAX_BODY:
                raise ServiceUnavailable(f"an answer of more than {MAX_BODY} bytes")
        return bytes(body)

    async def _chunk(self) -> bytes:
        size_text = (await self._until(b"\r\n", 1024)).split(b";")[0].strip()
        try:
            size = int(size_text, 16)
        except ValueError as error:
            raise ServiceUnavailable("a broken chunk in its answer") from error
        if not 0 <= size <= MAX_BODY:
            raise ServiceUnavailable(f"an answer of more than {MAX_BODY} bytes")
        return (await self._exactly(size + 2))[:-2]

    async def _until_eof(self) -> bytes:
        while len(self._buffer) <= MAX_BODY:
            data = await self.stream.reader.read(CHUNK)
            if not data:
                self.close()
                return self._buffer
            self._buffer += data
        raise ServiceUnavailable(f"an answer of more than {MAX_BODY} bytes")

    async def _until(self, mark: bytes, limit: int) -> bytes:
        while mark not in self._buffer:
            if len(self._buffer) > limit:
                raise ServiceUnavailable("an answer whose header does not end")
            await self._more()
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    async def _exactly(self, count: int) -> bytes:
        parts, have = [self._buffer], len(self._buffer)
        while have < count:
            data = await self.stream.reader.read(CHUNK)
            if not data:
                raise EOFError
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self._buffer = whole[count:]
        return whole[:count]

    async def _more(self) -> None:
        data = await self.stream.reader.read(CHUNK)
        if not data:
            raise EOFError
        self._buffer += data


def _length(text: str) -> int:
    length = natural(text)
    if length is None or length > MAX_BODY:
        raise ServiceUnavailable(f"an answer of more than {MAX_BODY} bytes")
    return length
