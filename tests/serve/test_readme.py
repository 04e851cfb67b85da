"""What the README and the other pages show is true: the curl answer, the examples, settings, links and commands."""

import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.kernel import offers_of
from app.kernels.fibonacci.models import FibonacciLimits
from app.settings import Settings
from deployments.application import application
from harness.service import Service

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = (
    "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
)  # fmt: skip
MOST_LINES = 200
"""Of the README: what is longer has a page in ``docs``."""
VARYING = re.compile(r"_id$|_seconds$|_at$|^parallelism$|^links$")


def text_of(name: str) -> str:
    """The text of a page in ``docs``."""
    return (ROOT / f"docs/{name}.md").read_text()


def without_varying(value: Any) -> Any:
    """The answer without ids and durations."""
    if isinstance(value, dict):
        return {name: without_varying(v) for name, v in value.items() if not VARYING.search(name)}
    return [without_varying(v) for v in value] if isinstance(value, list) else value


def run_example(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """As a person behind a proxy that cannot reach this machine."""
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    environ = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"} | proxies
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env=environ)


def curl_example(url: str) -> str:
    command = next(line[2:] for line in README.splitlines() if line.startswith("$ curl"))
    return command.replace("http://127.0.0.1:8000", url)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's command is curl")
def test_the_curl_command_gives_the_answer_shown(service: Service) -> None:
    done = run_example(["bash", "-c", curl_example(service.url)])
    assert done.returncode == 0, done.stderr
    shown = json.loads(re.findall(r"```json\n(.*?)\n```", README, re.DOTALL)[0])
    answer = json.loads(done.stdout)
    assert without_varying(answer) == without_varying(shown)
    assert answer["timing"].keys() == shown["timing"].keys()
    assert answer["batches"][0].keys() == shown["batches"][0].keys()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's command is curl")
def test_the_curl_command_fails_with_the_reason_of_a_refusal(service: Service) -> None:
    done = run_example(
        ["bash", "-c", curl_example(service.url).replace('"sequence_size": 1000', '"sequence_size": -1')]
    )
    assert done.returncode == 22
    assert json.loads(done.stdout)["errors"][0]["location"] == ["body", "sequence_size"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page's commands are curl")
def test_the_session_with_a_durable_job_is_what_is_shown(service: Service) -> None:
    page = text_of("durable")
    (shown,) = map(json.loads, re.findall(r"```json\n(.*?)\n```", page, re.DOTALL))
    submit, look, events, cancel, delete = re.findall(r"^\$ (curl .*)$", page, re.MULTILINE)

    def run(command: str, job_id: str = "") -> str:
        command = command.replace("http://127.0.0.1:8000", service.url).replace("JOB_ID", job_id)
        done = run_example(["bash", "-c", command])
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    accepted = json.loads(run(submit))
    assert without_varying(accepted) == without_varying(shown)
    assert accepted.keys() == shown.keys()
    assert accepted["progress"].keys() == shown["progress"].keys()
    job_id = accepted["job_id"]
    assert accepted["links"] == {name: link.replace(shown["job_id"], job_id) for name, link in shown["links"].items()}
    told = run(events, job_id)
    fields = re.compile(r"^(retry: \d+|event: \w+|id: |data: \{\"job_id\")", re.MULTILINE)
    assert set(fields.findall(page)) <= {*fields.findall(told), "event: progress"}  # it may be too quick for that
    over = json.loads(run(look, job_id))
    assert (over["state"], over["result"]["sizes"]) == ("succeeded", [300_000] * 40)
    assert json.loads(run(submit))["job_id"] == job_id  # by its Idempotency-Key
    assert json.loads(run(cancel, job_id)) == over
    assert run(delete, job_id) == ""
    assert json.loads(run(look, job_id))["type"] == "/problems/no-such-job"


class FullAtFirst(http.server.BaseHTTPRequestHandler):
    """Refuses the first request as the service does when its queue is full."""

    num_requests = 0

    def do_POST(self) -> None:
        FullAtFirst.num_requests += 1
        self.send_response(429 if FullAtFirst.num_requests == 1 else 200)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's command is curl")
def test_the_curl_command_comes_back_when_it_may() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), FullAtFirst) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = curl_example(f"http://127.0.0.1:{server.server_port}")
        assert run_example(["bash", "-c", command]).returncode == 0
        server.shutdown()
    assert FullAtFirst.num_requests == 2


def python_example(url: str) -> str:
    (example,) = re.findall(r"```python\n(.*?)\n```", text_of("api"), re.DOTALL)
    return str(example).replace("http://127.0.0.1:8000", url)


def test_the_python_example_prints_the_sizes(service: Service) -> None:
    done = run_example([sys.executable, "-c", python_example(service.url)])
    assert (done.stdout, done.stderr) == ("[1000, 1000]\n", "")


def test_the_python_example_fails_with_the_detail_of_a_refusal(service: Service) -> None:
    example = python_example(service.url).replace('1000, "num_sequences": 2', '10000000, "num_sequences": 10')
    done = run_example([sys.executable, "-c", example])
    assert done.returncode == 1
    assert done.stderr.startswith("422: ")
    assert "the limit is 600." in done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="the launcher's command is curl")
def test_the_command_that_the_launcher_prints_is_answered(service: Service) -> None:
    (command,) = [line.removeprefix("try: ") for line in service.output if line.startswith("try: ")]
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(done.stdout)["sizes"] == [100_000] * 2  # the defaults


@pytest.mark.parametrize(
    ("page", "command", "options"),
    [
        ("docs/operate.md", "make serve HOST=127.0.0.1 PORT=9000 CPUS=4", "--host 127.0.0.1 --port 9000 --cpus 4"),
        ("docs/settings.md", "make serve API_KEYS_FILE=keys.txt", "--api-keys-file keys.txt"),
        ("README.md", "make serve API_KEYS_FILE=keys.txt", "--api-keys-file keys.txt"),
    ],
)
def test_make_serve_passes_what_a_page_gives_it_to_the_launcher(page: str, command: str, options: str) -> None:
    assert f"$ {command}\n" in (ROOT / page).read_text()
    done = subprocess.run(
        [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    (launch,) = [line for line in done.stdout.splitlines() if "deployments.launch" in line]
    assert shlex.split(launch.split("deployments.launch")[1]) == options.split()


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_left_to_fill_in(page: str) -> None:
    assert not re.search(r"FIGURES|TODO|XXX", (ROOT / page).read_text())


def setting_rows(text: str) -> list[str]:
    return text.partition("| setting | default | meaning |\n|---|---|---|\n")[2].partition("\n\n")[0].splitlines()


def test_the_table_has_every_setting_and_the_readme_three_of_them() -> None:
    fields = Settings.model_fields
    shown = {name: of.default for name, of in fields.items()}
    shown["kernels"] = f"`{Settings().kernels[0].import_path}`"
    rows = [f"| `{name}` | {shown[name]} | {of.description} |" for name, of in fields.items()]
    assert setting_rows(text_of("settings")) == rows
    limits = [f"| `{name}` | {of.default} | {of.description} |" for name, of in FibonacciLimits.model_fields.items()]
    assert all(f"{row}\n" in text_of("settings") for row in limits)
    three = setting_rows(README)
    assert (len(three), set(three) - set(rows)) == (3, set())


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len(README.splitlines()) <= MOST_LINES
    assert [name for name in PAGES[1:] if f"]({name})" not in README] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_make_commands_shown_exist(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^\$ |`)make (\w+)", (ROOT / page).read_text(), re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES)
def test_the_links_lead_to_files_and_headings_that_there_are(page: str) -> None:
    folder = (ROOT / page).parent
    for target, _, heading in set(re.findall(r"\]\((?!https?:)([^)#]*)(#?)([^)]*)\)", (ROOT / page).read_text())):
        path = folder / target if target else ROOT / page
        assert path.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}, heading


def test_the_version_stands_in_the_changelog() -> None:
    assert f"## [{version('fibonacci-service')}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_file_configures_the_deployments_that_there_are() -> None:
    (configured,) = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"]
    built: Any = application(Settings.model_validate(configured["args"]), None)
    names = {built._bound_deployment.name, built._bound_deployment.init_args[1]._bound_deployment.name}
    assert {deployment["name"] for deployment in configured["deployments"]} == names


def test_the_file_sets_defaults_as_they_are() -> None:
    (configured,) = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"]
    settings = Settings.model_validate(configured["args"])
    assert offers_of(settings) == offers_of(Settings())
    assert settings.model_copy(update={"kernels": Settings().kernels}) == Settings()
    assert configured["args"].keys() == Settings.model_fields.keys()
