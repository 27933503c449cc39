"""Is anything lost, silently another, or run that should not be? Kills, full disks, races, flipped bits, hostile files.

    python benchmarks/reliability.py [--short] [--only kills,flips] [--trials N] [--seed S]

Each trial is a command of `advgan` on the digits in a process of its own. The table says how many lost their work (it
could not be brought to the bits of an undisturbed run), were silently another (exit 0, other numbers, not a word), ran
what a file said, or ended in a trace. The exit code is 1 where any number is not 0; what failed is printed. The full
form takes about an hour on two cores, `--short` a minute.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.forked_commands import Ended, command, forked, warm_up
from benchmarks.hostile_files import HACKED, hostile
from benchmarks.tried_commands import COMMANDS, COMPARED, READERS, RESUMED

FULL = {"kills": 100, "disks": 20, "starts": 200, "flips": 500, "hostile": 100, "memory": 16}
SHORT = {"kills": 2, "disks": 1, "starts": 20, "flips": 12, "hostile": 10, "memory": 1}


@dataclass
class Tally:
    """What happened in the trials of one kind."""

    trials: int = 0
    found: Counter[str] = field(default_factory=Counter)

    def count(self, what: str, *, failed: bool, said: str) -> None:
        """Note one way to fail, and print what was."""
        if failed:
            self.found[what] += 1
            print(f"{what}: {' '.join(said.split())[-400:]}", file=sys.stderr, flush=True)


@dataclass
class Bench:
    """A working folder that each trial finds as it was after undisturbed runs of all verbs."""

    root: Path
    rng: random.Random

    @property
    def work(self) -> Path:
        """Where commands run; the same place in every trial."""
        return self.root / "work"

    def prepare(self) -> dict[str, float]:
        """Run every verb undisturbed; seconds each."""
        self.work.mkdir()
        _write_digits(self.work / "images", 200)
        times = {}
        for verb, words in COMMANDS.items():
            ended = command(words.split(), self.work)
            if ended.code:
                raise SystemExit(f"{words}: {ended.said}")
            times[verb] = ended.seconds
        (drawn,) = (self.work / "sample").glob("*.npz")
        self.arrays = drawn.name
        shutil.copytree(self.work, self.root / "whole")
        return times

    def begin(self, *without: str) -> None:
        """Put the folder back, but for these runs and, with them, what the cache holds."""
        shutil.rmtree(self.work)
        shutil.copytree(self.root / "whole", self.work)
        for name in without:
            shutil.rmtree(self.work / name, ignore_errors=True)

    def run(self, words: str, **limits: float | int | None) -> Ended:
        """A command in the folder."""
        return command(words.replace("ARRAYS", self.arrays).split(), self.work, **limits)  # type: ignore[arg-type]

    def differs(self, name: str, reference: Path) -> str:
        """The first file of a result that is not as in `reference`; empty where all are."""
        for file in [reference] if reference.is_file() else sorted(reference.rglob("*")):
            if file.suffix not in COMPARED or file.name == "report.html":
                continue
            mine = self.work / name if reference.is_file() else self.work / name / file.relative_to(reference)
            if not mine.is_file() or mine.read_bytes() != file.read_bytes():
                return str(mine)
        return ""

    def again(self, verb: str) -> Ended:
        """Go on with a run that was cut off, or repeat it where it cannot go on."""
        if verb in RESUMED and (self.work / verb / "config.yaml").is_file():
            ended = self.run(f"{verb} --resume {verb}")
            if ended.code == 0 or any((self.work / verb / "checkpoints").glob("last*")):
                return ended
        shutil.rmtree(self.work / verb, ignore_errors=True)
        return self.run(COMMANDS[verb])


def kills(bench: Bench, trials: int, times: dict[str, float]) -> Tally:
    """SIGKILL at a random moment of each verb in turn; then resumed or repeated."""
    tally, verbs = Tally(trials), [verb for verb in times if verb != "other"]
    for number in range(trials):
        verb = verbs[number % len(verbs)]
        bench.begin(verb, *(["cache"] if number % 2 else []))
        bench.run(COMMANDS[verb], kill_after=bench.rng.uniform(0, times[verb]))
        _brought_back(bench, tally, verb)
    return tally


def disks(bench: Bench, trials: int, times: dict[str, float]) -> Tally:
    """No file may grow beyond a random size, for each verb; then there is room again."""
    tally = Tally()
    for verb in (verb for verb in times if verb != "other"):
        sizes = [file.stat().st_size for file in (bench.root / "whole" / verb).rglob("*") if file.is_file()]
        for _ in range(trials):
            bench.begin(verb, "cache")
            ended = bench.run(COMMANDS[verb], file_bytes=int(bench.rng.uniform(0, max(sizes))))
            tally.trials += 1
            tally.count("traces", failed=ended.crashed, said=ended.said)
            if ended.code == 0:
                changed = bench.differs(verb, bench.root / "whole" / verb)
                tally.count("silent", failed=bool(changed), said=f"{verb} with a full disk: {changed}")
            _brought_back(bench, tally, verb)
    return tally


def _brought_back(bench: Bench, tally: Tally, verb: str) -> None:
    ended = bench.again(verb)
    changed = bench.differs(verb, bench.root / "whole" / verb)
    tally.count("lost", failed=bool(ended.code or changed), said=f"{verb}: {changed} {ended.said}")
    tally.count("traces", failed=ended.crashed, said=ended.said)


def starts(bench: Bench, trials: int, times: dict[str, float]) -> Tally:
    """Runs that begin at the same moment: each has a number of its own."""
    from advgan.config import DataConfig
    from advgan.storage.runs import create_run

    tally, at = Tally(trials), time.time() + 2 + trials / 50
    bench.begin()

    def start() -> int:
        time.sleep(max(0.0, at - time.time()))
        create_run("fit", "race", DataConfig())
        return 0

    children = [forked(start, bench.work, bench.root / f"start-{number}") for number in range(trials)]
    codes = [_exit_code(child) for child in children]
    numbers = Counter(path.name.split("-")[0] for path in (bench.work / "runs/fit").iterdir())
    tally.found["lost"] += sum(code != 0 for code in codes) + sum(count - 1 for count in numbers.values())
    said = [(bench.root / f"start-{number}").read_text() for number in range(trials)]
    tally.found["traces"] += sum("Traceback" in each for each in said)
    return tally


def flips(bench: Bench, trials: int, times: dict[str, float]) -> Tally:
    """One flipped bit in a file, then the command that reads it: refused, made anew, or the same result."""
    tally = Tally(trials)
    kinds = list(READERS)
    for kind in kinds[: min(trials, len(kinds))]:
        _, words, name = READERS[kind]
        bench.begin()
        ended = bench.run(words)
        assert ended.code == 0, f"{words}: {ended.said}"
        reference = bench.root / "read" / kind
        reference.parent.mkdir(exist_ok=True)
        made = bench.work / name
        shutil.copytree(made, reference) if made.is_dir() else shutil.copyfile(made, reference)
    for number in range(trials):
        kind = kinds[number % len(kinds)]
        pattern, words, name = READERS[kind]
        bench.begin()
        files = sorted(file for file in bench.work.glob(pattern) if file.is_file() and file.stat().st_size)
        file = bench.rng.choice(files)
        place, bit = bench.rng.randrange(file.stat().st_size), bench.rng.randrange(8)
        content = bytearray(file.read_bytes())
        content[place] ^= 1 << bit
        file.unlink()  # which another name of the same content may share
        file.write_bytes(content)
        ended = bench.run(words)
        where = f"bit {bit} of byte {place} of {file.relative_to(bench.work)}"
        changed = bench.differs(name, bench.root / "read" / kind) if ended.code == 0 else ""
        tally.count("silent", failed=bool(changed), said=f"{where}: {changed}")
        tally.count("traces", failed=ended.crashed, said=f"{where}: {ended.said}")
    return tally


def hostile_files(bench: Bench, trials: int, times: dict[str, float]) -> Tally:
    """Files that would run code, write elsewhere, fill the memory, or colour the terminal."""
    cases = hostile()
    chosen = cases if trials >= len(cases) else bench.rng.sample(cases, trials)
    tally = Tally(len(chosen))
    for name, make, words in chosen:
        bench.begin()
        make(bench.work)
        ended = bench.run(words, limit=90, memory_bytes=4 << 30)
        strangers = [*bench.root.rglob(HACKED)]
        tally.count("ran", failed=bool(strangers), said=name)
        tally.count("traces", failed=ended.crashed or "\x1b" in ended.said, said=f"{name}: {ended.said}")
        tally.count("lost", failed=ended.code == -9, said=f"{name}: no end in 90 seconds")
        for path in strangers:
            shutil.rmtree(path, ignore_errors=True)
    return tally


def memory(bench: Bench, trials: int, times: dict[str, float]) -> Tally:
    """An attack with `-b auto` under limits of memory: the same result, or one line."""
    tally = Tally(trials)
    for number in range(trials):
        bench.begin("attack")
        ended = bench.run(f"{COMMANDS['attack']} -b auto", memory_bytes=(8 << 20) << (number // 2))
        changed = bench.differs("attack", bench.root / "whole/attack") if ended.code == 0 else ""
        tally.count("silent", failed=bool(changed), said=changed)
        tally.count("traces", failed=ended.crashed, said=f"{(8 << 20) << number // 2} bytes: {ended.said}")
    return tally


KINDS = {
    "kills": kills,
    "disks": disks,
    "starts": starts,
    "flips": flips,
    "hostile": hostile_files,
    "memory": memory,
}


def _write_digits(folder: Path, count: int) -> None:
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number in range(count):
        file = folder / str(digits.target[number]) / f"{number:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[number] * 15.9).astype(np.uint8)).save(file)


def _exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def table(found: Iterable[tuple[str, Tally]]) -> int:
    """Print a row a kind as it is done; 1 where anything failed."""
    columns = ("lost", "silent", "ran", "traces")
    print(f"| kind | trials | {' | '.join(columns)} |\n|---|---|---|---|---|---|", flush=True)
    failed = 0
    for kind, tally in found:
        print(f"| {kind} | {tally.trials} | {' | '.join(str(tally.found[name]) for name in columns)} |", flush=True)
        failed += tally.found.total()
    return int(failed > 0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few trials of each kind")
    parser.add_argument("--only", default=",".join(KINDS), help="kinds, with commas")
    parser.add_argument("--trials", type=int, help="trials of each kind; of disks, for each verb")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    numbers = SHORT if asked.short else FULL
    warm_up()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name).resolve(), random.Random(asked.seed))
        times = bench.prepare()
        if asked.short:
            times = {verb: times[verb] for verb in ("fit", "other", "sample")}
        calls = {
            kind: partial(KINDS[kind], bench, asked.trials or numbers[kind], times) for kind in asked.only.split(",")
        }
        return table((kind, call()) for kind, call in calls.items())


if __name__ == "__main__":
    sys.exit(main())
