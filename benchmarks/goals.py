"""The goals of the service's speed as ratios of medians, each beside its target."""

from dataclasses import dataclass
from typing import Any

from benchmarks.figures import LOOP, Figures
from benchmarks.workloads import CONNECTIONS

SERVICE, ACTOR_CALLS = "service", "service, actor calls"
FASTAPI, TUTORIAL = "FastAPI + ProcessPoolExecutor", "Serve, tutorial style"
FLOORS = {SERVICE: "Serve, idle worker", ACTOR_CALLS: "Serve, idle worker, actor calls"}
IN_PROCESS, RUN_LOCAL, RUN_REMOTE = LOOP, "tutorial: run_local", "tutorial: run_remote"
NO_PEERS = {SERVICE, ACTOR_CALLS, IN_PROCESS, RUN_LOCAL, RUN_REMOTE}
"""Those that do not distribute, or not with the same kernel."""

SMALL_RATES = {37_000: 1.05, 60_000: 1.0, 100_000: 0.93}
"""(i) Terms of a job, and how many times FastAPI's requests/s are asked: at the largest both its cores are full."""
MANY_WAITING = 10_000


@dataclass(frozen=True)
class Goal:
    """``sign`` tells whether the value may be at most the target (``<=``) or has to be at least that (``>=``)."""

    number: int
    text: str
    sign: str
    target: float
    value: float | None
    """None: something that it needs was not measured."""

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        return self.value <= self.target if self.sign == "<=" else self.value >= self.target


def goals(figures: Figures, cpus: int) -> list[Goal]:
    """The goals that the benchmark can decide, as shipped and then with calls of actors between deployments."""
    return [goal for service in (SERVICE, ACTOR_CALLS) for goal in _goals(figures, cpus, service)]


def simulation_goals(simulation: dict[str, Any] | None) -> list[Goal]:
    """The goals that ``make simulate`` decides, from the JSON that it writes; None: it has not run."""
    runs = simulation["runs"] if simulation else []
    efficiencies = [run["efficiency"] for run in runs if run["num_workers"] == 1_000]
    waiting = [run for run in (simulation["waiting"] if simulation else []) if run["num_waiting"] >= MANY_WAITING]
    microseconds = max((run["batch_microseconds"] for run in waiting), default=None)
    best = max(efficiencies, default=None)
    return [
        Goal(8, "simulated efficiency with 1,000 workers, best number of ingresses", ">=", 0.95, best),
        Goal(8, f"microseconds to dispatch a batch while {MANY_WAITING:,} jobs or more wait", "<=", 100, microseconds),
    ]


def _goals(figures: Figures, cpus: int, service: str) -> list[Goal]:
    def get(figure: str, peer: str = service) -> float | None:
        return figures.median(figure, peer)

    throughput, tiny_p50, held_p99 = "d_requests_per_second", "f_p50_ms", "g_p99_ms"
    best_peer = min((s for p, s in figures.medians("b_seconds").items() if p not in NO_PEERS), default=None)
    loop, floor_ms = get("a_seconds", IN_PROCESS), get(tiny_p50, FLOORS[service])
    a_limit = None if loop is None or floor_ms is None else loop / cpus + floor_ms / 1e3
    efficiency = _ratio(get("b_seconds", IN_PROCESS), get("b_seconds"))
    shipped = service == SERVICE
    rows: list[tuple[int, str, str, float, float | None]] = [
        (1, "(b) wall time / best peer with the same kernel", "<=", 1.0, _ratio(get("b_seconds"), best_peer)),
        (1, "(b) parallel efficiency over the loop", ">=", 0.95, efficiency and efficiency / cpus),
        (1, "(a) wall time / (loop / CPUs + one idle RPC)", "<=", 1.1, _ratio(get("a_seconds"), a_limit)),
        (2, "(c) loop / wall time", ">=", 1.9, _ratio(get("c_seconds", IN_PROCESS), get("c_seconds"))),
        (3, "(a) run_local / wall time", ">=", 15, _ratio(get("a_seconds", RUN_LOCAL), get("a_seconds"))),
        (3, "(a) run_local's memory / the kernel's", ">=", 1000,
         _ratio(get("a_megabytes", RUN_LOCAL), get("a_megabytes", IN_PROCESS))),
        (4, "(d) requests/s / FastAPI's", ">=", 1.3 if shipped else 1.0,
         _ratio(get(throughput), get(throughput, FASTAPI))),
        (4, "(d) p99 / FastAPI's", "<=", 0.7 if shipped else 1.0, _ratio(get("d_p99_ms"), get("d_p99_ms", FASTAPI))),
        (4, "(d) requests/s / tutorial-style Serve's", ">=", 35,
         _ratio(get(throughput), get(throughput, TUTORIAL))),
        (5, "(f) p50 / Serve's with an idle worker", "<=", 1.3, _ratio(get(tiny_p50), floor_ms)),
        (5, "(f) p50 / FastAPI's", "<=", 2.6 if shipped else 6, _ratio(get(tiny_p50), get(tiny_p50, FASTAPI))),
        (6, "(g) p99, ms", "<=", 300, get(held_p99)),
        (6, "(g) p99 / FastAPI's", "<=", 1 / 20, _ratio(get(held_p99), get(held_p99, FASTAPI))),
        (7, "(h) seconds from start to the first 200", "<=", 15, get("h_seconds")),
        *((9, f"(i) {size:,} terms: {what} / FastAPI's", sign, target,
           _ratio(get(f"i_{size}_{CONNECTIONS}_{figure}"), get(f"i_{size}_{CONNECTIONS}_{figure}", FASTAPI)))
          for size, rate in SMALL_RATES.items()
          for what, figure, sign, target in (("requests/s", "requests_per_second", ">=", rate),
                                             ("p99", "p99_ms", "<=", 1.2))),
        (10, "(j) idle: CPU, % of a core", "<=", 6, get("j_cpu_percent")),
    ]  # fmt: skip
    served = "as shipped" if shipped else "actor calls"
    return [Goal(number, f"{text}, {served}", *rest) for number, text, *rest in rows]  # type: ignore[arg-type]


def _ratio(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value / other
