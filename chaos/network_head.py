"""Run as a script in the first node's namespaces, by ``chaos.network``: starts Ray and the service there."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import ray
import yaml

from chaos.network import RAY_PORT, head_command
from deployments import lifecycle
from deployments.console import say
from deployments.own_config import prepare


def main(config_path: str, address: str, folder: str) -> None:
    subprocess.run(head_command(address, folder), check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (this project's own)
    host = "0.0.0.0"  # noqa: S104 (a network of its own)
    config = prepare(yaml.safe_load(Path(config_path).read_text()), host, 8000, Path(folder))
    # The launcher's script for HAProxy keeps all that it listens on to loopback.
    del config["controller_options"]["runtime_env"]["env_vars"]["RAY_SERVE_HAPROXY_BINARY_PATH"]
    config["proxy_location"] = "HeadOnly"
    ray.init(address=f"{address}:{RAY_PORT}", namespace="serve", log_to_driver=False)
    lifecycle.deploy(lifecycle.checked(config), verbose=False)
    lifecycle.wait_until_ready(f"http://{address}:8000/readyz", threading.Event())
    say(f"ready on http://{address}:8000")
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
