"""``make fuzz``: schemathesis against the real service, over HTTP. Exit code 1 if it finds anything."""

import sys
import tempfile
from pathlib import Path

import schemathesis
import yaml

from harness.service import launched
from tests.contract import SETTINGS, Examination, config

ROOT = Path(__file__).parents[1]


def main(max_examples: int) -> int:
    """Start the service with small limits, examine it, print what is found."""
    whole = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    whole["applications"][0]["args"] = SETTINGS.model_dump(mode="json")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(whole, file)
        file.flush()
        with launched("--cpus", "2", "--config", file.name) as service:
            schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json", config=config(max_examples))
            examination = Examination(schema)
    for finding in examination.findings:
        sys.stdout.write(finding + "\n\n")
    sys.stdout.write(f"{examination.num_requests} requests, {len(examination.findings)} findings\n")
    return bool(examination.findings)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
