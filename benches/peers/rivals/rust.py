"""What the rivals written in Rust share: a program of the workspace in `rust/`, called with the row."""

import pathlib
import subprocess
import tomllib

from common import LEARNING_RATE, ROW, report, unsupported

WORKSPACE = pathlib.Path(__file__).parent.parent / "rust"


def main(program, crates):
    """Runs the program; it prints the seconds of a step. Versions are those of the lock file."""
    if ROW.precision == "bf16":
        unsupported("no bf16 autocast")
    words = [",".join(map(str, ROW.sizes)), ROW.batch, ROW.batches, ROW.work]
    words += [ROW.activation, ROW.loss, ROW.optimizer, ROW.density, LEARNING_RATE]
    binary = WORKSPACE / "target/release" / program
    if not binary.exists():
        raise SystemExit(f"{program} is not built")
    seconds = float(subprocess.run([binary, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True).stdout)
    packages = tomllib.loads((WORKSPACE / "Cargo.lock").read_text())["package"]
    report(seconds, {package["name"]: package["version"] for package in packages if package["name"] in crates})
