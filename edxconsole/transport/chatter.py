"""What a login shell says before a command of ours begins is not the command's: a marker tells them apart."""

from __future__ import annotations

from edxconsole.transport.base import ByteReader

MAX_CHATTER = 64 * 1024
"""bytes of banners accepted before the marker"""


class NoMarker(Exception):
    """The output ended, or was too long, before the marker; `said` is all of it."""

    def __init__(self, said: bytes) -> None:
        super().__init__("no marker")
        self.said = said


async def read_past(marker: bytes, reader: ByteReader) -> bytes:
    """What was read behind the marker so far, b"" when nothing was. Raises NoMarker, ConnectionLost."""
    said = b""
    while marker not in said:
        data = await reader.read(4096)
        if not data or len(said) > MAX_CHATTER:
            raise NoMarker(said + data)
        said += data
    return said.partition(marker)[2]
