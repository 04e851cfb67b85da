"""The task that Celery's workers run, and where they find their queue."""

import os

from celery import Celery

from benchmarks.kernel import compute_at_once

app = Celery("benchmarks", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])


@app.task  # type: ignore[untyped-decorator]
def compute(sequence_size: int) -> int:
    return compute_at_once(0, sequence_size)
