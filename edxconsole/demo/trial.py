"""`python -m edxconsole.demo.trial MODE`: can hosts be made here? Exit 0, or 1 and the reason on stdout."""

from __future__ import annotations

import sys

from edxconsole.demo.hostspec import HostSpec, Mode
from edxconsole.demo.namespaces import Net
from edxconsole.errors import DemoError


def main() -> int:
    """Make a net with one empty host and let it go again."""
    try:
        with Net.enter(Mode(sys.argv[1])) as net:
            net.start(HostSpec(name="trial", address="10.88.0.2", size_mib=8))
    except OSError as error:
        print(error.strerror or error)
        return 1
    except DemoError as error:
        print(error.cause)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
