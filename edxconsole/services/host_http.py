"""httpx over streams of a transport: an HTTP service on the host, asked as if it were here.

httpx makes the requests and reads the answers; the connections below it are ours, as they come out
of an SSH channel. Everything is bounded in time and size. Importing httpx takes 0.15 s, so that only
a host which has such a service imports this module, in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from edxconsole.errors import ServiceFault, ServiceUnavailable, TransportError
from edxconsole.transport.base import Endpoint, Stream, Transport

OPEN_TIMEOUT = 5.0
MAX_LINE = 256 * 1024
"""bytes of one line of an endless answer"""
MAX_REFUSAL = 4096

_FAILED = (
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.ConnectionNotAvailable,
    httpx.HTTPError, httpx.StreamError, httpx.InvalidURL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes


class HostHttp:
    """One HTTP service on a host, on at most `connections` streams that are kept open.

    Raises StreamRefused when it can't be reached, ServiceUnavailable when it doesn't answer as it
    should, ConnectionLost when the host is gone.
    """

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        *,
        connections: int = 4,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._host = transport.host_name
        self._backend = _Backend(transport, endpoint)
        pool = httpcore.AsyncConnectionPool(
            max_connections=connections, keepalive_expiry=60.0, network_backend=self._backend
        )
        # The host's name in the URL says nothing: the backend knows where to connect.
        self._client = httpx.AsyncClient(
            transport=_Pool(pool),
            base_url="http://localhost",
            headers={"Accept-Encoding": "identity", **(headers or {})},
            timeout=httpx.Timeout(None, connect=OPEN_TIMEOUT),
            trust_env=False,
        )

    @property
    def rung(self) -> str:
        """How the last stream got there (Stream.rung), "" before the first."""
        return self._backend.rung

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        timeout: float,
        limit: int,
        body: object = None,
    ) -> Answer:
        """One request and its whole answer, of at most `limit` bytes and `timeout` seconds.

        `body` is sent as JSON, unless None.
        """
        try:
            async with asyncio.timeout(timeout):
                async with self._client.stream(method, path, params=params, json=body) as response:
                    parts, size = [], 0
                    async for part in response.aiter_raw():
                        size += len(part)
                        if size > limit:
                            raise ServiceUnavailable(f"an answer of more than {limit} bytes", host=self._host)
                        parts.append(part)
                    return Answer(response.status_code, b"".join(parts))
        except TimeoutError as error:
            raise ServiceUnavailable(f"no whole answer within {timeout:g} s", host=self._host) from error
        except _FAILED as error:
            raise self._failed(error) from error

    async def parts(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        timeout: float,
        body: object = None,
    ) -> AsyncGenerator[bytes]:
        """The bytes of an answer as they come; first b"", when it has begun, within `timeout` seconds.

        How long it goes on is for the caller to bound. Raises as ask(), and ServiceFault with the
        status as `code` and the beginning of what was said where the status is not 200.
        """
        # Where only the end of the connection ends an answer (Docker's exec), h11 takes it for kept alive.
        headers = {"Connection": "close"}
        request = self._client.build_request(method, path, params=params, json=body, headers=headers)
        try:
            async with asyncio.timeout(timeout):
                response = await self._client.send(request, stream=True)
        except TimeoutError as error:
            raise ServiceUnavailable(f"no answer within {timeout:g} s", host=self._host) from error
        except _FAILED as error:
            raise self._failed(error) from error
        try:
            if response.status_code != 200:
                raise await self._refusal(response, timeout)
            yield b""
            async for part in response.aiter_raw():
                yield part
        except _FAILED as error:
            raise self._failed(error) from error
        finally:
            await response.aclose()

    async def lines(
        self, path: str, params: Mapping[str, str] | None = None, *, timeout: float
    ) -> AsyncGenerator[bytes | None]:
        """The lines of an endless answer; first None, when it has begun, within `timeout` seconds.

        Raises as parts(), and ServiceUnavailable when it ends.
        """
        rest = b""
        async with aclosing(self.parts("GET", path, params, timeout=timeout)) as parts:
            await anext(parts)
            yield None
            async for part in parts:
                *whole, rest = (rest + part).split(b"\n")
                for line in whole:
                    yield line
                if len(rest) > MAX_LINE:
                    raise ServiceUnavailable(f"a line of more than {MAX_LINE} bytes", host=self._host)
        raise ServiceUnavailable("it ended what should not end", host=self._host)

    async def _refusal(self, response: httpx.Response, timeout: float) -> ServiceFault:
        """What it says instead: of no more bytes than a sentence has."""
        said = b""
        with contextlib.suppress(TimeoutError, *_FAILED):
            async with asyncio.timeout(timeout):
                async for part in response.aiter_raw():
                    said += part
                    if len(said) > MAX_REFUSAL:
                        break
        text = said[:MAX_REFUSAL].decode("utf-8", "replace")
        return ServiceFault(text, code=response.status_code, host=self._host)

    async def close(self) -> None:
        await self._client.aclose()

    def _failed(self, error: Exception) -> ServiceUnavailable:
        protocol = isinstance(error, httpcore.RemoteProtocolError | httpcore.LocalProtocolError)
        if protocol and "disconnected" not in str(error):
            return ServiceUnavailable("what answers there does not speak HTTP as it should", host=self._host)
        return ServiceUnavailable("the connection ended before the answer did", host=self._host)


class _Backend(httpcore.AsyncNetworkBackend):
    """Opens every connection as a stream to the one endpoint."""

    def __init__(self, transport: Transport, endpoint: Endpoint) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self.rung = ""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._transport.open_stream(self._endpoint, timeout=timeout or OPEN_TIMEOUT)
        self.rung = stream.rung
        return _Connection(stream, self._transport)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Connection(httpcore.AsyncNetworkStream):
    """One stream as httpcore wants it."""

    def __init__(self, stream: Stream, transport: Transport) -> None:
        self._stream = stream
        self._transport = transport

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await self._stream.reader.read(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout from error
        except (TransportError, OSError) as error:
            raise self._ended(error, httpcore.ReadError) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            async with asyncio.timeout(timeout):
                self._stream.writer.write(buffer)
                await self._stream.writer.drain()
        except TimeoutError as error:
            raise httpcore.WriteTimeout from error
        except (TransportError, OSError) as error:
            raise self._ended(error, httpcore.WriteError) from error

    async def aclose(self) -> None:
        self._stream.writer.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("TLS inside a stream is not spoken")

    def _ended(self, error: Exception, kind: type[httpcore.NetworkError]) -> Exception:
        """The loss of the host as it is; the end of this one stream as httpcore's own."""
        if isinstance(error, TransportError) and not self._transport.connected:
            return error
        return kind(str(error))


class _Pool(httpx.AsyncBaseTransport):
    """Hands httpx's requests to a pool of httpcore's."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """The body of an answer, as it comes."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._answer.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()
