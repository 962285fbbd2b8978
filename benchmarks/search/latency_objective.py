"""Whether a search for latency finds faster networks than one for FLOPs, at equal accuracy.

    python -m benchmarks.search.latency_objective RUN... [--rounds 300] [--threads 1] [--json FILE]

Takes finished runs, of each objective and of the same seeds. All their retrained networks, and the
all-global network of the same width, are timed in turn in one process, batch 1, fp32, as `hnas
latency` does; their accuracies are those that the runs have measured. The runs' tables, which were
measured in other processes at other times, are compared with these times too.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import torch
from scipy.stats import kendalltau

from benchmarks.common import machine
from hnas.architecture.arch import Arch
from hnas.cost.latency import latencies
from hnas.network.glit import Glit
from hnas.studies.run.folder import Run, open_run
from hnas.studies.run.latency import read_measured
from hnas.studies.run.result import Result, TrainedNetwork, read_result


def finished(folder: Path) -> tuple[Run, Result]:
    run = open_run(folder)
    result = read_result(run)
    if result is None:
        raise SystemExit(f"{folder} is not finished")
    return run, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = [finished(folder) for folder in options.runs]
    frame = found[0][0].plan.net
    if any(run.plan.net != frame for run, _ in found):
        raise SystemExit("the runs are of different networks")

    archs: dict[str, Arch] = {"all-global": frame.all_global()}
    for _, result in found:
        archs |= {one.arch.to_json(): one.arch for one in (result.winner, *result.candidates)}
    images = torch.zeros(1, frame.channels, frame.image, frame.image)
    models = {name: Glit(frame, arch).reset(0) for name, arch in archs.items()}
    timed = latencies(models, images, rounds=options.rounds)
    ms = {name: 1000 * each.median for name, each in timed.items()}

    def of(network: TrainedNetwork) -> float:
        return ms[network.arch.to_json()]

    rows = []
    print(f"milliseconds, batch 1: all-global of d = {frame.d}: {ms['all-global']:.3f}")
    print("objective  seed    test  held-out       MACs  winner ms  candidates ms  mean held-out")
    for run, result in sorted(found, key=lambda one: (one[0].plan.search.objective, one[0].name)):
        winner, search = result.winner, run.plan.search
        row = {
            "objective": search.objective,
            "seed": search.seed,
            "test": winner.test_accuracy,
            "held_out": winner.accuracy,
            "macs": winner.macs,
            "ms": of(winner),
            "candidates_ms": statistics.fmean(map(of, result.candidates)),
            "candidates_held_out": statistics.fmean(one.accuracy for one in result.candidates),
        }
        rows.append(row)
        print(
            f"{row['objective']:9}  {row['seed']:4}  {row['test']:.4f}    {row['held_out']:.4f}  "
            f"{row['macs']:9,}  {row['ms']:9.3f}  {row['candidates_ms']:13.3f}  "
            f"{row['candidates_held_out']:13.4f}"
        )
    means = {
        name: {
            key: statistics.fmean(row[key] for row in rows if row["objective"] == name)
            for key in ("test", "held_out", "macs", "ms", "candidates_ms", "candidates_held_out")
        }
        for name in dict.fromkeys(row["objective"] for row in rows)
    }
    for name, mean in means.items():
        print(
            f"{name:9}  mean  {mean['test']:.4f}    {mean['held_out']:.4f}  {mean['macs']:9,.0f}  "
            f"{mean['ms']:9.3f}  {mean['candidates_ms']:13.3f}  {mean['candidates_held_out']:13.4f}"
        )
    tables = []
    for run, _ in found:
        if (measured := read_measured(run)) is None:
            continue
        sums = [measured.table.of(arch) / 1e6 for arch in archs.values()]
        relative = [one / ms[name] - 1 for one, name in zip(sums, archs, strict=True)]
        table = {
            "run": run.name,
            "spread": measured.table.spread,
            "off_by": statistics.fmean(map(abs, relative)),
            "bias": statistics.fmean(relative),
            "tau": float(kendalltau(sums, list(ms.values())).statistic),
        }
        tables.append(table)
        print(
            f"table of {run.name}: spread {table['spread']:.1%}, sums off by {table['off_by']:.1%} "
            f"(bias {table['bias']:+.1%}), tau {table['tau']:.2f} on {len(archs)} networks"
        )
    if options.json:
        about = {
            **machine(options.threads),
            "rounds": options.rounds,
            "all_global_ms": ms["all-global"],
        }
        written = {**about, "runs": rows, "means": means, "tables": tables}
        options.json.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
