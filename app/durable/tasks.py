"""The task of a durable job, made anew from what its caller asked for: tasks themselves are never stored."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from app.durable.records import NewJob, Record
from app.kernel import Kernel, KernelError, Offer, Task


def task_of(record: Record, offers: Iterable[Offer]) -> Task:
    """The task, as it was when the job was accepted.

    Raises ``KernelError`` if its kernel is not offered any more, or would refuse the request now, or make another job
    of it: limits may have changed.
    """
    task = new_task(record, offers)
    if record.total_units and task.length * task.num_lines != record.total_units:
        raise KernelError(f"the kernel {record.kernel} would make another job of the request now")
    return task


def new_task(job: NewJob | Record, offers: Iterable[Offer]) -> Task:
    """The task as it is now. Raises ``KernelError`` as ``task_of`` does, but for the last reason."""
    for offer in offers:
        if offer.kernel.name == job.kernel:
            return _task(offer, json.loads(job.request), job.num_workers)
    raise KernelError(f"the kernel {job.kernel} is not offered any more")


def _task(offer: Offer, request: dict[str, Any], num_workers: int) -> Task:
    kernel = offer.kernel
    model = _model(kernel, offer.limits.model_dump_json())
    own = {name: value for name, value in request.items() if name in model.model_fields}
    try:
        return kernel.task(offer.limits, model.model_validate(own), num_workers)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise KernelError(f"the kernel {kernel.name} refuses the request now: {where}: {first['msg']}") from None


@lru_cache(maxsize=64)
def _model(kernel: Kernel, limits: str) -> type[BaseModel]:
    """The model of the kernel's own fields: making one takes a millisecond."""
    return kernel.request(kernel.limits.model_validate_json(limits))
