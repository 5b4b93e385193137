"""What the hosts' `manage.py` and `django-admin` run: real Celery workers, and xqueue's consumer.

Called as edx-platform is: `manage.py lms --settings=aws celery worker --queues=...`.
"""

from __future__ import annotations

import os
import sys
import time

from edxconsole.demo.cluster import dependencies, settings


def run_celery(arguments: list[str]) -> None:
    """`VARIANT --settings=aws celery worker --queues=Q --hostname=H --concurrency=1`. Returns at its end.

    Celery's own command line is left out: its subcommands cost each worker 13 MiB.
    """
    from celery.utils.nodenames import default_nodename, host_format

    from edxconsole.demo.cluster.worker import make_app

    variant, rest = arguments[0], arguments[arguments.index("celery") + 1 :]
    app = make_app(variant)
    options = dict(word[2:].split("=", 1) for word in rest if word.startswith("--") and "=" in word)
    worker = app.Worker(
        hostname=host_format(default_nodename(options["hostname"])),
        queues=options["queues"],
        loglevel=options.get("loglevel", "info"),
        concurrency=int(options.get("concurrency", "1")),
        pool=options.get("pool", "solo"),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


def run_consumer() -> None:
    """Look at the queue as xqueue's run_consumer does, and say what was found. Never returns."""
    said = settings.load("xqueue")
    while True:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        try:
            dependencies.ask_sql(*said.database)
            dependencies.ask_rabbit(*said.rabbit)
            print(
                f"{stamp},000 INFO {os.getpid()} [submission_queue.consumer] consumer.py:88 - idle",
                flush=True,
            )
        except OSError as error:
            print(
                f"{stamp},000 ERROR {os.getpid()} [submission_queue.consumer] consumer.py:64 - {error}",
                file=sys.stderr,
                flush=True,
            )
        time.sleep(10)
