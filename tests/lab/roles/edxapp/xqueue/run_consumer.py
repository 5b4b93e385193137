"""xqueue's consumer: without push queues it says so and ends, which is not an alarm."""

import os
import time

while os.environ.get("CONSUMER") == "push":
    time.sleep(5)
print("All workers finished. Exiting", flush=True)
