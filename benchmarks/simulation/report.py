"""The results of simulated runs, as Markdown and as one SVG plot."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.simulation.run import Outcome

TARGET = 0.95
HEAD = "| | workers | ingresses | efficiency | tail, s | batches | computed twice or lost | dispatcher, us a batch |"
RULE = "|" + " --- |" * 8


def row(name: str, o: Outcome) -> str:
    """One line of the table."""
    return (
        f"| {name} | {o.num_workers:,} | {o.num_ingresses} | {o.efficiency:.3f} | {o.tail_seconds:.2f} "
        f"| {o.num_batches:,} | {o.num_late:,} + {o.num_lost:,} | {o.dispatcher_microseconds:.0f} |"
    )


def verdict(outcomes: Sequence[Outcome]) -> str:
    """The largest simulated pool for which the fewest ingresses are enough, and what more of them do beyond it."""
    fewest = min(o.num_ingresses for o in outcomes)
    subject = "One ingress is" if fewest == 1 else f"{fewest} ingresses are"
    short = [o for o in outcomes if o.num_ingresses == fewest and o.efficiency < TARGET]
    if not short:
        return f"{subject} enough throughout: the efficiency is {TARGET} or more."
    first = min(o.num_workers for o in short)
    enough = max((o.num_workers for o in outcomes if o.num_workers < first), default=0)
    said = [f"{subject} enough up to {enough:,} workers (efficiency {TARGET} or more)."]
    for size in sorted({o.num_workers for o in outcomes if o.num_workers >= first}):
        there = sorted((o.num_ingresses, o.efficiency) for o in outcomes if o.num_workers == size)
        said.append(f"At {size:,}: " + ", ".join(f"{e:.3f} with {count}" for count, e in there) + ".")
    return " ".join(said)


def goals(runs: Sequence[Outcome], batch_microseconds: Mapping[int, float]) -> list[str]:
    """Goal 8 beside its figures; ``batch_microseconds``: of the dispatcher, by jobs waiting."""
    at_1000 = {o.num_ingresses: o.efficiency for o in runs if o.num_workers == 1_000}
    lines = [f"goal: efficiency at 1,000 workers >= {TARGET}; ingresses {n}: {e:.3f}" for n, e in at_1000.items()]
    lines += [
        f"goal: dispatcher < 100 us a batch; {n:,} jobs waiting: {us:.0f}" for n, us in batch_microseconds.items()
    ]
    return lines


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Efficiency over workers, a line for each number of ingresses."""
    import matplotlib as mpl  # noqa: PLC0415 (not needed to simulate, nor installed for the tests)
    from matplotlib.figure import Figure  # noqa: PLC0415 (as above)

    mpl.rcParams["svg.hashsalt"] = "fibonacci"  # the same figures make the same file
    page = Figure(figsize=(8, 4), layout="constrained")
    axes = page.subplots()
    for count in sorted({o.num_ingresses for o in outcomes}):
        line = [o for o in outcomes if o.num_ingresses == count]
        label = "1 ingress" if count == 1 else f"{count} ingresses"
        axes.semilogx([o.num_workers for o in line], [o.efficiency for o in line], "o-", label=label)
    axes.axhline(TARGET, color="0.6", linestyle="--")
    axes.set(xlabel="workers", ylabel="efficiency", ylim=(0, 1.05))
    axes.set_title("Ideal over simulated time (more is better)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend()
    page.savefig(path, metadata={"Date": None})
