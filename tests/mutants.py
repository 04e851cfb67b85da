"""``make mutants``: mutmut over the modules, and with the tests, that ``[tool.mutmut]`` names.

Tries every fifth mutant, or all of them (``--all``), which takes some hours.
Prints how many mutants of each module the tests kill, and every survivor. Exit code 1 if too many survive.
Of the survivors, these are left on purpose:

* ``<`` instead of ``<=``, where two predicted or measured durations would have to be exactly equal;
* a figure that only tunes: the terms between two looks at the clock, when a heap is tidied, what the Kalman filter
  believes at first, where virtual time begins;
* the text of an error, and what the log says of a lost batch;
* ``None`` instead of ``False``, where nothing tells them apart, and a value that is overwritten before anybody reads
  it: the record of a batch that is not back;
* another context for a timer or a callback: each batch is sent from an empty one of its own anyhow;
* ``zip`` without ``strict``, over lists that are as long as each other.

mutmut does not change the modules' constants.
"""

import argparse
import ast
import fnmatch
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORKPLACE = ROOT / ".venv" / "mutants"
LEAST_KILLED = 0.85
SAMPLE = "*__mutmut_*[37]"
"""Of each function's mutants those whose number ends so."""
MAX_BYTES = 3 * 2**30
"""Address space of a process: a mutant may allocate without end."""
NOT_KILLED = {None, 0, 2, 5, 33, 34}
"""Exit codes that mutmut notes of a mutant when all tests pass, none reaches it, or somebody stopped the run; every
other one is a kill, by a test, the time limit or the memory limit."""


def main() -> int:
    """Run mutmut on a copy of the project, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--all", action="store_true", help="try all mutants")
    which = "*" if parser.parse_args().all else SAMPLE
    copy_project()
    os.chdir(WORKPLACE)
    # Its children inherit them.
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    run = subprocess.run([Path(sys.executable).with_name("mutmut"), "run", which], check=False)
    return run.returncode or report(which)


def copy_project() -> None:
    """Anew each time: mutmut keeps results, and does not see that tests have changed."""
    shutil.rmtree(WORKPLACE, ignore_errors=True)
    for folder in ("app", "harness", "tests"):
        shutil.copytree(ROOT / folder, WORKPLACE / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", WORKPLACE)
    for path in WORKPLACE.glob("app/**/*.py"):
        path.write_text(with_plain_properties(path.read_text()))


def with_plain_properties(source: str) -> str:
    """The same with ``name = property(name)`` instead of a decorator: mutmut passes over decorated functions."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and [ast.unparse(d) for d in node.decorator_list] == ["property"]:
            lines[node.decorator_list[0].lineno - 1] = ""
            lines[node.body[-1].end_lineno - 1] += f"\n{' ' * node.col_offset}{node.name} = property({node.name})"  # type: ignore[operator]
    return "\n".join(lines) + "\n"


def report(which: str) -> int:
    """Print the survivors and the figures of those that match ``which``; 1 if the figures are too low."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # only `make mutants` installs it

    figures = []
    for path in sorted(Path("mutants/app").rglob("*.meta")):
        found = json.loads(path.read_text())["exit_code_by_key"]
        exit_codes = {mutant: code for mutant, code in found.items() if fnmatch.fnmatch(mutant, which)}
        module = str(path.relative_to("mutants").with_suffix(""))
        survivors = [mutant for mutant, exit_code in exit_codes.items() if exit_code in NOT_KILLED]
        for mutant in survivors:
            diff = get_diff_for_mutant(mutant, path=module).splitlines()[2:]
            changes = "\n".join(line for line in diff if line.startswith(("-", "+")))
            sys.stdout.write(f"\n{mutant}\n{changes}\n")
        if exit_codes:
            figures.append((module, len(exit_codes) - len(survivors), len(exit_codes)))
    killed, total = sum(k for _, k, _ in figures), sum(t for _, _, t in figures)
    sys.stdout.write("\n")
    for name, k, t in [*figures, ("all", killed, total)]:
        sys.stdout.write(f"{name:<36} {k:>5} of {t:>5} killed {k / t:>7.1%}\n")
    return killed < LEAST_KILLED * total


if __name__ == "__main__":
    sys.exit(main())
