"""The worker's application: one task that takes as long as it is told."""

import os
import time

from celery import Celery

APP = Celery("edx", broker=os.environ["BROKER"])
APP.conf.broker_connection_retry_on_startup = True
if os.environ["BROKER"].startswith("filesystem:"):
    spool = "/edx/var/celery"
    APP.conf.broker_transport_options = {
        "data_folder_in": spool,
        "data_folder_out": spool,
        "control_folder": f"{spool}/control",
    }


@APP.task(name="lms.djangoapps.instructor_task.tasks.calculate_grades_csv")  # type: ignore[untyped-decorator]
def calculate_grades_csv(seconds: float = 1.0) -> float:
    time.sleep(seconds)
    return seconds
