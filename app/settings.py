"""Every setting of the service: its default, bounds, unit and meaning."""

from typing import Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator


class KernelChoice(BaseModel):
    """A kernel, by its import path, and its limits; a limit that is not named has its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    import_path: str = Field(pattern=r"^[\w.]+:\w+$")
    limits: dict[str, JsonValue] = Field(default_factory=dict)


class Settings(BaseModel):
    """The ``args`` of ``serve_config.yaml``; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kernels: tuple[KernelChoice, ...] = Field(
        (KernelChoice(import_path="app.kernels.fibonacci:KERNEL"),),
        min_length=1,
        description="What can be computed, each at its own route: import paths, with the `limits` that each documents.",
    )
    max_timeout_seconds: float = Field(
        300.0, gt=0, le=86_400, description="Longest deadline a job may ask for, and the default."
    )
    max_compute_seconds: float = Field(
        600.0, gt=0, description="Costliest job admitted, in predicted core-seconds (else 422)."
    )
    max_queued_seconds: float = Field(
        60.0,
        gt=0,
        description="Longest predicted wait of a job when it is admitted (else 429), not counting the job's own time.",
    )
    max_queued_jobs: int = Field(
        700,
        ge=1,
        le=1_000_000,
        description="Most unfinished jobs one ingress holds (else 429); about 64 KB of memory each.",
    )
    api_keys_file: str | None = Field(
        None,
        min_length=1,
        description="File of `name:sha256hex` lines, read again when it changes: only these keys are accepted. With "
        "neither it nor `FIBONACCI_API_KEYS`, anybody may call.",
    )
    max_caller_jobs: int = Field(
        300,
        ge=1,
        le=1_000_000,
        description="With API keys: most unfinished jobs of one caller that one ingress holds (else 429).",
    )
    max_caller_queued_seconds: float = Field(
        30.0,
        gt=0,
        description="With API keys: longest that a caller's own unfinished jobs may delay its next one (else 429).",
    )
    worker_wait_seconds: float = Field(
        30.0, ge=0, description="How long jobs wait while no worker is alive (then 503)."
    )
    batch_floor_seconds: float = Field(
        0.025, gt=0, le=10, description="Least predicted compute seconds a batch is cut to."
    )
    batch_ceiling_seconds: float = Field(
        0.200, gt=0, le=60, description="Most predicted compute seconds a batch is cut to."
    )
    dispatch_cpu_seconds: float = Field(
        0.0005,
        ge=0,
        le=1,
        description="CPU seconds an ingress's event loop takes to dispatch a batch; large pools' batches grow with it.",
    )
    pool_reply_seconds: float = Field(
        0.5, gt=0, le=10, description="How long GET /pool and GET /readyz wait for a worker's reply."
    )
    body_timeout_seconds: float = Field(
        10.0, gt=0, le=3_600, description="How long a request's body may take to arrive (then 408)."
    )
    job_log: Literal["text", "json"] | None = Field(
        "text",
        description="A line for each job that is over, in a file beside Serve's log of the replica: `text` or `json`; "
        "null for none.",
    )
    jobs_folder: str | None = Field(
        None,
        min_length=1,
        description="Folder for durable jobs, in a SQLite file; the launcher sets it (`--state`). With neither it nor "
        "`jobs_database` there are no durable jobs.",
    )
    jobs_database: str | None = Field(
        None,
        pattern=r"^postgresql://",
        description="PostgreSQL database for durable jobs instead, for a cluster, without a password: "
        "`postgresql://user@host:port/name`. The password is in `FIBONACCI_JOBS_PASSWORD`, or where libpq looks.",
    )
    allow_network_folder: bool = Field(
        False, description="Whether `jobs_folder` may be on a network file system, where SQLite files get damaged."
    )
    max_job_core_seconds: float = Field(
        86_400.0, gt=0, description="Costliest durable job admitted, in predicted core-seconds (else 422)."
    )
    max_job_timeout_seconds: float = Field(
        604_800.0, gt=0, le=31_536_000, description="Longest deadline a durable job may ask for, and the default."
    )
    max_unfinished_jobs: int = Field(
        1_000, ge=1, le=100_000, description="Most unfinished durable jobs of the whole service (else 429)."
    )
    max_caller_unfinished_jobs: int = Field(
        100, ge=1, le=100_000, description="With API keys: most unfinished durable jobs of one caller (else 429)."
    )
    max_caller_running_jobs: int = Field(
        4, ge=1, le=1_000, description="Durable jobs of one caller that take turns; the others wait in order."
    )
    result_ttl_seconds: float = Field(
        86_400.0, gt=0, le=31_536_000, description="How long a finished durable job is kept."
    )
    max_finished_jobs: int = Field(
        10_000, ge=1, le=1_000_000, description="Most finished durable jobs that are kept; the oldest go first."
    )
    checkpoint_seconds: float = Field(
        1.0, gt=0, le=60, description="How often the progress of durable jobs is written, all in one transaction."
    )

    @field_validator("jobs_database")
    @classmethod
    def _without_a_password(cls, url: str | None) -> str | None:
        """Settings are shown in logs, and by Serve."""
        if url is not None and (urlsplit(url).password is not None or "password" in parse_qs(urlsplit(url).query)):
            raise ValueError("a password does not belong here: it is FIBONACCI_JOBS_PASSWORD, or where libpq looks")
        return url
