"""Times rivals beside schuss on the same work, round by round, and writes RESULTS.md.

Only a whole run (every row, every rival) writes the file; any other prints its tables. `run` sets everything up.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE / "rivals"))

from rows import ROWS  # noqa: E402: the folder of the rivals is no package, each file is a program

RIVALS = {
    "torch": "torch_eager.py",
    "torch-compile": "torch_compiled.py",
    "jax": "jax_jit.py",
    "jax-scan": "jax_scan.py",
    "keras": "keras_tensorflow.py",
    "sklearn": "sklearn_mlp.py",
    "onnxruntime": "onnx_runtime.py",
    "burn": "burn_flex.py",
    "candle": "candle_cpu.py",
}
THREADS = (1, 2)
#: Seconds after which a rival is given up.
PATIENCE = 600


@dataclass
class Cell:
    """What the rounds have shown of one system in one row."""

    seconds: list[float] = field(default_factory=list)
    #: Of the better run of the first round.
    threads: int | None = None
    #: Why there is no time, in one line.
    failure: str | None = None
    #: The system does not offer this work.
    unsupported: str | None = None

    def median(self):
        return statistics.median(self.seconds) if self.seconds else None


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--rounds", type=int, default=5, help="how often each system takes its turn")
    parser.add_argument("--rows", type=names, default=list(ROWS), help=",".join(ROWS))
    parser.add_argument("--only", type=names, default=list(RIVALS), help=",".join(RIVALS))
    parser.add_argument("--schuss", default=HERE.parent.parent / "target/release/schuss", help="the program")
    chosen = parser.parse_args()
    for name, known in [*((row, ROWS) for row in chosen.rows), *((rival, RIVALS) for rival in chosen.only)]:
        if name not in known:
            parser.error(f"{name}: expected one of {', '.join(known)}")
    return chosen


def answer(command):
    """The JSON object that a command prints last, or why there is none."""
    # Settings for a slow but careful OpenBLAS, where someone has made them, would hold the rivals back.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return None, f"no answer in {PATIENCE} s"
    except OSError as error:
        return None, str(error)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        errors = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return None, errors[-1]
    return json.loads(lines[-1]), None


def time_rival(name, row, cell, versions):
    """One round of a rival: the better number of threads, which the first round finds out."""
    best = None
    for threads in [cell.threads] if cell.threads else THREADS:
        result, failure = answer([sys.executable, HERE / "rivals" / RIVALS[name], row, "--threads", str(threads)])
        if failure:
            cell.failure = failure
            return
        if "unsupported" in result:
            cell.unsupported = result["unsupported"]
            return
        versions |= result["versions"]
        if best is None or result["seconds"] < best["seconds"]:
            best = result
    cell.seconds.append(best["seconds"])
    cell.threads = best["threads"]


def time_schuss(program, row, cells, versions):
    """One round of schuss, which may measure a row in more than one way."""
    result, failure = answer([program, "bench", "--json", "--quick", row])
    if failure:
        print(f"schuss, {row}: {failure}", file=sys.stderr)
        return
    versions["schuss instruction set"] = result.get("isa", "-")
    for name, key in ROWS[row].schuss.items():
        if isinstance(result.get(key), (int, float)):
            scale = 1e-3 if key.endswith("_ms") else 1e-6
            cells[name].seconds.append(result[key] * scale)
            cells[name].threads = result.get("threads")


def time_row(row, chosen, versions):
    """All rounds of a row: every round is one turn of every system, so that a drifting machine drifts for all."""
    cells = {name: Cell() for name in [*ROWS[row].schuss, *chosen.only]}
    for number in range(chosen.rounds):
        print(f"{row}, round {number + 1} of {chosen.rounds}", file=sys.stderr)
        time_schuss(chosen.schuss, row, cells, versions)
        for name in chosen.only:
            if not cells[name].failure and not cells[name].unsupported:
                time_rival(name, row, cells[name], versions)
    return cells


def three_digits(number):
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def table(row, cells):
    """The row as Markdown: the fastest rival first, and by name what does not run."""
    unit, scale = {"ms": ("ms", 1e3), "us": ("µs", 1e6)}[ROWS[row].unit]
    reference = cells[next(iter(ROWS[row].schuss))].median()
    own = [name for name in cells if name in ROWS[row].schuss]
    rivals = [name for name in cells if name not in own and not cells[name].unsupported]
    rivals.sort(key=lambda name: cells[name].median() or float("inf"))
    lines = [f"## {row}", f"{ROWS[row].what[0].upper()}{ROWS[row].what[1:]}.", ""]
    lines += [f"| system | {unit} | threads | time / schuss |", "|---|---|---|---|"]
    for name in own + rivals:
        cell, median = cells[name], cells[name].median()
        if cell.failure:
            lines.append(f"| {name} | - | - | fails: {cell.failure.replace('|', '/')[:160]} |")
            continue
        time = three_digits(median * scale) if median else "-"
        ratio = f"{median / reference:.2f}" if median and reference else "-"
        lines.append(f"| {name} | {time} | {cell.threads or '-'} | {ratio} |")
    absent = [f"{name} ({cell.unsupported})" for name, cell in cells.items() if cell.unsupported]
    if absent:
        lines += ["", f"Not in this row: {', '.join(absent)}."]
    return "\n".join(lines)


def processor():
    """The name of the processor, with family and model, since a virtual machine's name may say little."""
    found = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    return f"{found.get('model name', 'unknown')} (family {found.get('cpu family')}, model {found.get('model')})"


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip().split("\n")[0] or "-"
    except OSError:
        return "-"


def document(tables, chosen, versions):
    """RESULTS.md."""
    names = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return f"""# schuss beside its rivals

`benches/peers/run` sets up all rivals and writes this file anew; `--rounds N`, `--rows a,b` and `--only torch,jax` make a shorter run, which prints its tables and leaves the file alone. It wants a quiet machine, Python 3.11 or later, a C++ compiler (for torch.compile) and 10 GB of disk. `.venv` and `rust/target` keep what is installed: remove them to get the newest rivals.

Times are medians of {chosen.rounds} rounds; a round is one run of every system, in turn. A run is a process of its own: it warms up, then takes the median of its steps (or of single calls, in prediction) for 1.5 s or more. Data is converted before the clock starts. Rivals run with 1 and with 2 threads in the first round and keep the better. `time / schuss` above 1: schuss is faster. All is f32 but where said; training is plain gradient descent with cross-entropy over integer labels but where said.

- **torch**: eager, fused optimisers, autocast for bf16, inference_mode. **torch-compile**: the same with torch.compile; in prediction with freezing and max_autotune.
- **jax**: a step in one jit, parameters donated. **jax-scan**: 16 steps in one jit, by lax.scan.
- **keras**: Keras 3 on TensorFlow, `fit` with XLA and 16 or 64 steps per execution; bf16 is its mixed_bfloat16 policy.
- **sklearn**: MLPClassifier and MLPRegressor. **onnxruntime**: prediction, all graph optimisations.
- **burn** (flex backend) and **candle**: built for this processor with fat LTO and AVX-512 products.

Machine: {processor()}, {os.cpu_count()} cores, {platform.system()}; {datetime.date.today()}.
Versions: {first_line(chosen.schuss, "--version")}, {names}, Python {platform.python_version()}, {first_line("rustc", "--version")}.

""" + "\n\n".join(tables) + "\n"


def main():
    chosen = arguments()
    versions, tables = {}, []
    for row in chosen.rows:
        tables.append(table(row, time_row(row, chosen, versions)))
        print(tables[-1], end="\n\n", flush=True)
    if chosen.rows == list(ROWS) and chosen.only == list(RIVALS):
        (HERE / "RESULTS.md").write_text(document(tables, chosen, versions))


if __name__ == "__main__":
    main()
