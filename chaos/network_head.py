"""Run as a script in the first node's namespaces, by ``chaos.network``: starts Ray and the service there."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import ray
import yaml

from chaos.network import RAY_PORT, head_command
from deployments.launcher import lifecycle, serve_config
from deployments.launcher.console import say


def main(config_path: str, address: str, folder: str) -> None:
    subprocess.run(head_command(address, folder), check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (this project's own)
    config: dict[str, Any] = yaml.safe_load(Path(config_path).read_text())
    listening = serve_config.read_address(config, address, 8000)
    serve_config.prepare(config, listening, Path(folder))
    # The ingress may be on the other node.
    config["http_options"]["host"] = "0.0.0.0"  # noqa: S104 (a network of its own)
    config["proxy_location"] = "HeadOnly"
    ray.init(address=f"{address}:{RAY_PORT}", namespace="serve", log_to_driver=False)
    schema = lifecycle.checked(config)
    lifecycle.deploy(schema, say, verbose=False)
    lifecycle.wait_until_ready(listening.url, schema, threading.Event())
    say(f"ready on {listening.url}")
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
