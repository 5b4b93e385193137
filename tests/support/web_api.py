"""A stand-in for a service with a JSON API over HTTP: there is no Elasticsearch or Meilisearch here.

It answers what a test gives it, path by path, and remembers what it was asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class StandIn:
    """`pages`: path without its query -> what is answered: JSON, or whole bytes as they are."""

    pages: Mapping[str, object]
    key: str = ""
    """with a key, everything but /health wants it as a bearer token"""
    asked: list[str] = field(default_factory=list)
    """every request line, with its query"""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await self._head(reader):
            line, *rest = head.splitlines()
            method, target, _ = line.split()
            self.asked.append(f"{method} {target}")
            path = target.partition("?")[0]
            allowed = path == "/health" or not self.key or f"Authorization: Bearer {self.key}" in rest
            page = self.pages.get(path, 404) if allowed else 403
            writer.write(page if isinstance(page, bytes) else _answer(page))
            await writer.drain()

    async def _head(self, reader: asyncio.StreamReader) -> str:
        try:
            return (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return ""


def _answer(page: object) -> bytes:
    """A number is a status with an error as its body, as both services have it."""
    status = page if isinstance(page, int) else 200
    body = json.dumps({"error": "stand-in", "status": status} if isinstance(page, int) else page).encode()
    head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
