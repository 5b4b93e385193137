"""`python -m edxconsole.demo.relay HOLDER ADDRESS PORT`: join stdin and stdout to a port of a host.

The ProxyCommand of the demo's ssh_config. HOLDER is the process that holds the network; only the user who
started it can join.
"""

from __future__ import annotations

import os
import select
import socket
import sys

from edxconsole.demo.enter import join_net

_CHUNK = 65536


def relay(stream: socket.socket) -> None:
    """Copy both ways until the far side closes; our end of input is passed on as a half-close."""
    sources = [0, stream.fileno()]
    while stream.fileno() in sources:
        for ready in select.select(sources, [], [])[0]:
            data = os.read(0, _CHUNK) if ready == 0 else stream.recv(_CHUNK)
            if ready == 0:
                if data:
                    stream.sendall(data)
                else:
                    stream.shutdown(socket.SHUT_WR)
                    sources.remove(0)
            elif data:
                view = memoryview(data)
                while view:
                    view = view[os.write(1, view) :]
            else:
                return


def main() -> int:
    """Entry point: exit 1 with one line on stderr if the host can't be reached."""
    holder, address, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    try:
        join_net(holder)
        with socket.create_connection((address, port), 10) as stream:
            stream.settimeout(None)
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            relay(stream)
    except (FileNotFoundError, ProcessLookupError):
        print("the demo cluster has ended", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{address} port {port}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
