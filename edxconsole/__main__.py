"""`python -m edxconsole`, and what the `edxconsole` script calls."""

import signal


def main() -> None:
    """Run the command line.

    Until it listens for Ctrl-C itself, one ends us silently as it ends any program: while modules
    are imported Python would print a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from edxconsole import cli

    cli.main()


if __name__ == "__main__":
    main()
