"""Locust, the load generator that comes from PyPI: jobs in a closed loop, or at a fixed rate in an open one.

It runs in a process of its own, because it replaces Python's sockets. In an open loop every latency counts from when
the request was due, and one that has no answer when measuring ends counts until then.
"""

import json
import subprocess
import sys
import time
from typing import Any

from benchmarks.loads import LEAD_SECONDS, LINGER_SECONDS, LoadError
from benchmarks.workloads import TINY_JOB, Job
from harness.figures import percentile


def closed_loop(url: str, connections: int, seconds: float, *, job: Job = TINY_JOB) -> dict[str, float]:
    """Raises ``LoadError`` if a request fails."""
    latencies = _run(url, {"connections": connections, "seconds": seconds, "job": job})["latencies_ms"]
    return {
        "requests_per_second": len(latencies) / seconds,
        "p50_ms": percentile(latencies, 50),
        "p99_ms": percentile(latencies, 99),
    }


def open_loop(
    url: str, rate: float, seconds: float, linger_seconds: float = LINGER_SECONDS, *, job: Job = TINY_JOB
) -> dict[str, float]:
    """``linger_seconds``: how long it waits for answers after the last arrival. Raises ``LoadError`` if one fails."""
    count = max(1, round(rate * seconds))
    result = _run(url, {"rate": rate, "count": count, "linger_seconds": linger_seconds, "job": job})
    latencies = result["latencies_ms"]
    return {
        "arrivals_per_second": rate,
        "p50_ms": percentile(latencies, 50),
        "p99_ms": percentile(latencies, 99),
        "p999_ms": percentile(latencies, 99.9),
        "late_p99_ms": percentile(result["late_ms"], 99),
    }


def _run(url: str, load: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.locust_load", url, json.dumps(load)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (this module)
    if done.returncode:
        raise LoadError(f"{url}: locust failed: {done.stderr[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if result["errors"] or not result["latencies_ms"]:
        raise LoadError(f"{url}: {result['errors']} requests failed with locust")
    return result


def main(url: str, load: dict[str, Any]) -> dict[str, Any]:
    """Put the load on; the latencies, how many requests failed, and how many were sent late."""
    import gevent  # noqa: PLC0415 (only in the load generator)
    from locust.env import Environment  # noqa: PLC0415 (replaces Python's sockets: only in this process)

    environment = Environment(user_classes=[_arrivals(url, load) if "rate" in load else _callers(url, load["job"])])
    runner = environment.create_local_runner()
    result: dict[str, Any] = {"latencies_ms": [], "late_ms": []}
    environment.measured = result
    if "rate" in load:
        runner.start(1, spawn_rate=1)
    else:
        environment.events.request.add_listener(lambda response_time, **_: result["latencies_ms"].append(response_time))

        def measure(**_: Any) -> None:
            """All are there: on a slow machine that takes longer than a short measurement."""
            result["latencies_ms"].clear()
            gevent.spawn_later(load["seconds"], runner.quit)

        environment.events.spawning_complete.add_listener(measure)
        runner.start(int(load["connections"]), spawn_rate=100)
    runner.greenlet.join()
    return {**result, "errors": environment.stats.total.num_failures}


def _callers(url: str, job: Job) -> type:
    """Each sends its next request when it has the answer."""
    from locust import FastHttpUser, task  # noqa: PLC0415 (likewise)

    class Caller(FastHttpUser):  # type: ignore[misc]
        host = url

        @task  # type: ignore[untyped-decorator]
        def send(self) -> None:
            self.client.post(url, json=job)

    return Caller


def _arrivals(url: str, load: dict[str, Any]) -> type:
    """One user that sends every request when it is due, whatever became of those before."""
    import gevent  # noqa: PLC0415 (only in the load generator)
    from locust import FastHttpUser, task  # noqa: PLC0415 (likewise)

    class Arrivals(FastHttpUser):  # type: ignore[misc]
        host = url
        concurrency = int(load["count"])
        network_timeout = connection_timeout = 600.0

        @task  # type: ignore[untyped-decorator]
        def send_all(self) -> None:
            begin = time.perf_counter() + LEAD_SECONDS
            due = [begin + i / load["rate"] for i in range(int(load["count"]))]
            sending = [gevent.spawn(self.send, at) for at in due]
            gevent.joinall(sending, timeout=due[-1] + load["linger_seconds"] - time.perf_counter())
            end = time.perf_counter()
            waiting = [at for at, greenlet in zip(due, sending, strict=True) if not greenlet.ready()]
            self.environment.measured["latencies_ms"] += [(end - at) * 1e3 for at in waiting]
            gevent.killall(sending)
            self.environment.runner.quit()

        def send(self, due: float) -> None:
            gevent.sleep(max(0, due - time.perf_counter()))
            measured = self.environment.measured
            measured["late_ms"].append((time.perf_counter() - due) * 1e3)
            self.client.post(url, json=load["job"])
            measured["latencies_ms"].append((time.perf_counter() - due) * 1e3)

    return Arrivals


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))) + "\n")
