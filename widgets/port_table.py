"""PortTable: what listens on one host, whose it is, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping

from edxconsole.cluster.model import HostSnapshot, Listener
from widgets.cells import Cell, Column, Row, cell
from widgets.ink import Role
from widgets.row_table import RowTable

COLUMNS = (
    Column("port", 6, 0, right=True),
    Column("address", 12, 1, grow=2, most=44, tail=True),
    Column("process", 10, 1, grow=1, most=18),
    Column("service", 10, 2, grow=1, most=20),
    Column("user", 8, 3, grow=1, most=14),
    Column("pid", 7, 4, right=True),
    Column("known by", 9, 5),
)

_HOW = {
    "owner": ("owner", Role.DIM),
    "unit": ("its unit", Role.DIM),
    "guess": ("guess", Role.UNKNOWN),
    "none": ("unknown", Role.UNKNOWN),
}


def port_key(listener: Listener) -> str:
    """ "tcp/127.0.0.1:8000" """
    return f"{listener.proto}/{listener.address}:{listener.port}"


class PortTable(RowTable):
    """Keys as port_key gives them; TCP first, by port."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("PORTS", COLUMNS, id=id, empty="nothing listens here")

    def show_host(self, host: HostSnapshot, titles: Mapping[str, str]) -> None:
        """The listening sockets of a host."""
        order = sorted(host.listeners, key=lambda s: (s.proto == "unix", s.port, s.address, s.proto))
        rows: dict[str, Row] = {}
        for listener in order:
            key = port_key(listener)
            rows.setdefault(key, _row(key, host, listener, titles))
        self.show(rows.values())


def _row(key: str, host: HostSnapshot, listener: Listener, titles: Mapping[str, str]) -> Row:
    how, how_role = _HOW.get(listener.how, (listener.how, Role.UNKNOWN))
    guessed = listener.how in ("guess", "none")
    title = titles.get(listener.component, listener.component)
    service = f"{title}?" if title and guessed else title
    cells: tuple[Cell, ...] = (
        cell(str(listener.port) if listener.proto != "unix" else "unix", Role.STRONG),
        cell(_address(listener), Role.TEXT if _open(listener) else Role.DIM),
        cell(listener.process or "—", Role.TEXT if listener.process else Role.FAINT),
        cell(service, Role.UNKNOWN if guessed else Role.TEXT),
        cell(listener.user, Role.DIM),
        cell(str(listener.pid) if listener.pid else "—", Role.DIM if listener.pid else Role.FAINT),
        cell(how, how_role),
    )
    return Row(key, cells, aged=not host.trusted)


def _open(listener: Listener) -> bool:
    """Whether it is reachable from other machines, as far as its address says."""
    return listener.proto != "unix" and not listener.address.startswith(("127.", "::1"))


def _address(listener: Listener) -> str:
    if listener.proto == "unix":
        return listener.address
    if listener.address == "0.0.0.0":
        return "all"
    return "all (IPv6)" if listener.address == "::" else listener.address
