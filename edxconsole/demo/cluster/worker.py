"""The Celery app of the demo's edxapp workers: real Celery; the LMS sends the tasks (`tasks.py`).

Broker: what the settings name, the data host's Redis where it is real, else a directory of the host.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from celery import Celery

from edxconsole.demo.cluster import logs, settings

_FOLDER = "/tmp/celery"


def make_app(variant: str) -> Celery:
    """A Celery app whose workers consume `edx.<variant>.core.*`."""
    broker = settings.load(variant).broker
    app = Celery(f"{variant}.celery", broker=broker)
    app.conf.update(
        worker_hijack_root_logger=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        task_default_queue=f"edx.{variant}.core.default",
        task_ignore_result=True,
        worker_send_task_events=False,
        worker_direct=True,
    )
    if broker.startswith("filesystem"):
        folder = Path(os.environ.get("EDX_DEMO_ROOT", "/"), _FOLDER.lstrip("/"), variant)
        folder.mkdir(parents=True, exist_ok=True)
        app.conf.broker_transport_options = {
            "data_folder_in": str(folder),
            "data_folder_out": str(folder),
            "control_folder": str(folder),
        }

    @app.task(name=f"{variant}.djangoapps.grades.tasks.recalculate_subsection_grade_v3")  # type: ignore[untyped-decorator]
    def recalculate(course: str) -> float:
        seconds = random.uniform(0.05, 0.4)
        time.sleep(seconds)
        return round(seconds, 3)

    @app.task(name=f"{variant}.djangoapps.instructor_task.tasks.calculate_grades_csv")  # type: ignore[untyped-decorator]
    def grades(seconds: float = 1.0) -> float:
        time.sleep(seconds)
        return seconds

    logs.log_directory(variant).mkdir(parents=True, exist_ok=True)
    return app
