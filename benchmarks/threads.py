"""Time of the verbs with the threads that they choose beside that with one, on a machine whose cores have other work.

    python benchmarks/threads.py [--busy N] [--limit SECONDS] [--only fit,attack,train]

A busy loop on each core is started first. Each command runs as a user types it, in a process of its own, with one
thread (`OMP_NUM_THREADS=1`) and as it is, in turn; the ratio of the two is what threads cost or save beside other jobs.
A command that takes longer than the limit is stopped, and its time is a lower bound; one thread must end before it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATA = ["--data", "digits", "--resize", "28"]
"""As large as MNIST, and at hand everywhere."""
PLAIN = ["--set", "curve_points=0", "--set", "probes=0"]
COMMANDS = {
    "fit": ["fit", *DATA, "--model", "cnn", "--epochs", "2"],
    "attack": [
        "attack",
        *DATA,
        "--model",
        "fitted",
        "--attack",
        "apgd-ce,fab,square",
        "-n",
        "100",
        "--queries",
        "200",
        *PLAIN,
    ],
    "train": ["train", *DATA, "--family", "dcgan", "--steps", "30", "-n", "64", "--features", "pixels"],
}


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Give every core something to do."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def seconds(command: list[str], folder: Path, limit: float, *, threads: str | None = None) -> float:
    """Wall time of one command; raises CalledProcessError where it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {"ADVGAN_CACHE_DIR": str(folder / "cache")} | ({"OMP_NUM_THREADS": threads} if threads else {})
    began = time.perf_counter()
    try:
        subprocess.run([sys.executable, "-m", "cli", *command, "-q"], cwd=folder, env=environment, check=True,
                       stdout=subprocess.DEVNULL, timeout=limit)  # fmt: skip
    except subprocess.TimeoutExpired:
        return limit
    return time.perf_counter() - began


def main() -> None:
    """Print a table of the chosen commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=float, default=600)
    parser.add_argument("--only", default=",".join(COMMANDS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds([*COMMANDS["fit"], "--out", "fitted"], folder, asked.limit, threads="1")
        print(f"{asked.busy} busy loops\n\n| command | one thread, s | as chosen, s | ratio |\n|---|---|---|---|")
        with busy(asked.busy):
            for verb in asked.only.split(","):
                alone = seconds([*COMMANDS[verb], "--out", f"{verb}-1"], folder, asked.limit, threads="1")
                chosen = seconds([*COMMANDS[verb], "--out", f"{verb}-n"], folder, asked.limit)
                ratio = "unknown" if alone >= asked.limit else f"{chosen / alone:.2f}"
                print(f"| {verb} | {alone:.1f} | {chosen:.1f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
