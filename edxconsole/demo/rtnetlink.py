"""The handful of rtnetlink requests a test network needs, so that `ip` need not be installed.

A socket belongs to the network namespace it was opened in, for good: keep one open, leave the namespace,
and it still configures the old one. Message layout: rtnetlink(7), `linux/if_link.h`, `linux/if_addr.h`.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Self

_NLMSG_ERROR = 2
_REQUEST, _ACK, _EXCL, _CREATE, _REPLACE = 0x1, 0x4, 0x200, 0x400, 0x100
_NEWLINK, _GETLINK, _NEWADDR, _NEWROUTE = 16, 18, 20, 24
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_PID = 3, 10, 18, 19
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_GATEWAY = 5
_IFF_UP = 1
_MAIN_TABLE, _PROTO_BOOT, _UNICAST = 254, 3, 1


def _attr(kind: int, payload: bytes) -> bytes:
    return struct.pack("HH", len(payload) + 4, kind) + payload + b"\0" * (-len(payload) % 4)


def _name(name: str) -> bytes:
    return _attr(_IFLA_IFNAME, name.encode() + b"\0")


def _ifinfo(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


class Rtnetlink:
    """One rtnetlink socket, bound to the network namespace current at its creation. Raises `OSError`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _ask(self, kind: int, flags: int, body: bytes, what: str) -> None:
        self._sequence += 1
        header = struct.pack("IHHII", len(body) + 16, kind, flags | _REQUEST | _ACK, self._sequence, 0)
        self._socket.send(header + body)
        answer = self._socket.recv(65536)
        _, answer_kind, _, _, _, code = struct.unpack_from("IHHIIi", answer)
        if answer_kind == _NLMSG_ERROR and code:
            raise OSError(-code, f"{what}: {os.strerror(-code)}")

    def add_bridge(self, name: str) -> None:
        """Make a bridge."""
        info = _attr(_IFLA_LINKINFO, _attr(_IFLA_INFO_KIND, b"bridge"))
        self._ask(_NEWLINK, _CREATE | _EXCL, _ifinfo() + _name(name) + info, f"add bridge {name}")

    def add_veth(self, name: str, peer: str, peer_pid: int) -> None:
        """Make a veth pair: `name` here, `peer` in the network namespace of `peer_pid`."""
        far = _ifinfo() + _name(peer) + _attr(_IFLA_NET_NS_PID, struct.pack("I", peer_pid))
        data = _attr(_IFLA_INFO_DATA, _attr(_VETH_INFO_PEER, far))
        info = _attr(_IFLA_LINKINFO, _attr(_IFLA_INFO_KIND, b"veth") + data)
        self._ask(_NEWLINK, _CREATE | _EXCL, _ifinfo() + _name(name) + info, f"add veth {name}")

    def set_up(self, name: str, up: bool = True, master: str | None = None) -> None:
        """Bring a link up or down, and make it a port of `master` if one is named."""
        body = _ifinfo(0, _IFF_UP if up else 0, _IFF_UP) + _name(name)
        if master is not None:
            index = self._index(master)
            body += _attr(_IFLA_MASTER, struct.pack("I", index))
        self._ask(_NEWLINK, 0, body, f"set {name} {'up' if up else 'down'}")

    def add_address(self, name: str, address: str, prefix: int) -> None:
        """Give a link an IPv4 address."""
        raw = socket.inet_aton(address)
        body = struct.pack("BBBBi", socket.AF_INET, prefix, 0, 0, self._index(name))
        body += _attr(_IFA_LOCAL, raw) + _attr(_IFA_ADDRESS, raw)
        self._ask(_NEWADDR, _CREATE | _EXCL, body, f"add {address} to {name}")

    def add_default_route(self, gateway: str) -> None:
        """Route everything else through `gateway`."""
        body = struct.pack("BBBBBBBBI", socket.AF_INET, 0, 0, 0, _MAIN_TABLE, _PROTO_BOOT, 0, _UNICAST, 0)
        body += _attr(_RTA_GATEWAY, socket.inet_aton(gateway))
        self._ask(_NEWROUTE, _CREATE | _REPLACE, body, f"add default route via {gateway}")

    def _index(self, name: str) -> int:
        """The index of a link in the socket's own namespace (RTM_GETLINK by name)."""
        self._sequence += 1
        body = _ifinfo() + _name(name)
        self._socket.send(struct.pack("IHHII", len(body) + 16, _GETLINK, _REQUEST, self._sequence, 0) + body)
        answer = self._socket.recv(65536)
        _, kind, _, _, _ = struct.unpack_from("IHHII", answer)
        if kind == _NLMSG_ERROR:
            (code,) = struct.unpack_from("i", answer, 16)
            raise OSError(-code, f"link {name}: {os.strerror(-code)}")
        _, _, index, _, _ = struct.unpack_from("BxHiII", answer, 16)
        return int(index)
