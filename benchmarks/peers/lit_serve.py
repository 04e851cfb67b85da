"""LitServe, a serving framework: a worker process a CPU, a job in each.

Run as ``python -m benchmarks.peers.lit_serve PORT``; SIGINT ends it.
"""

import sys
from typing import Any

import litserve

from benchmarks.cpus import CPUS
from benchmarks.kernel import compute_at_once


class FibonacciAPI(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        """Nothing to load."""

    def decode_request(self, request: dict[str, int]) -> dict[str, int]:
        return request

    def predict(self, x: dict[str, int]) -> list[int]:
        return [compute_at_once(0, x["sequence_size"]) for _ in range(x["num_sequences"])]

    def encode_response(self, output: list[int]) -> dict[str, Any]:
        return {"sizes": output}


if __name__ == "__main__":
    server = litserve.LitServer(
        FibonacciAPI(api_path="/fibonacci"), accelerator="cpu", workers_per_device=CPUS, timeout=300
    )
    port = int(sys.argv[1])
    sys.stdout.write(f"ready on http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)
