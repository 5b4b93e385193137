"""`python -m edxconsole.demo.cable HOLDER LINK up|down`: plug a host in or out."""

from __future__ import annotations

import sys

from edxconsole.demo.enter import join_net
from edxconsole.demo.rtnetlink import Rtnetlink


def main() -> int:
    """Entry point."""
    holder, link, direction = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    try:
        join_net(holder)
        with Rtnetlink() as net:
            net.set_up(link, direction == "up")
    except OSError as error:
        print(error.strerror or error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
