"""A durable job as a caller asks for it, from a validated body and the headers."""

import hashlib
import json
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from app.durable.records import NewJob
from app.http.authentication import caller_of
from app.http.preferences import idempotency_key
from app.job import Execution

NOT_LOCAL = "Not with Prefer: respond-async: such a job is always distributed, since it is gone on with from its parts"


def new_job(http: Request, kernel: str, body: Any, job_id: str, num_workers: int) -> NewJob:
    """What is submitted. Raises RequestValidationError if it is to run locally, HTTPException if its key is malformed.

    The fingerprint is of the body as sent, with its defaults. A null in it stays one: what it stands for may depend on
    the pool, and the same body would not be the same job a moment later.
    """
    if body.execution is Execution.LOCAL:
        raise RequestValidationError([{"loc": ("body", "execution"), "msg": NOT_LOCAL, "type": "value_error"}])
    request = json.dumps(body.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return NewJob(
        job_id=job_id,
        caller=caller_of(http),
        kernel=kernel,
        request=body.model_dump_json(),
        num_workers=num_workers,
        timeout_seconds=body.timeout_seconds,
        key=idempotency_key(http),
        fingerprint=hashlib.sha256(f"{kernel}\n{request}".encode()).hexdigest(),
    )
