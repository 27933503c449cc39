"""Run a module on the device and print what was seen: `python -m pretended [--trace] [--tf32] -m cli attack ...`."""

import argparse
import os
import runpy
import sys
from contextlib import ExitStack
from pathlib import Path

from pretended.device import install, memory_limit, tf32
from pretended.watching import watching


def main() -> None:
    """Run the module or file that follows our own options."""
    parser = argparse.ArgumentParser(prog="pretended", allow_abbrev=False)
    parser.add_argument("--memory", type=int, metavar="MIB", help="memory of the device")
    parser.add_argument("--tf32", action="store_true", help="a device that has TensorFloat-32")
    parser.add_argument("--trace", action="store_true", help="count operators by line")
    parser.add_argument("--report", type=Path, metavar="FILE", help="where to write what was seen, else stderr")
    parser.add_argument("-m", dest="is_module", action="store_true")
    parser.add_argument("target")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    install()
    with ExitStack() as stack:
        if options.memory:
            stack.enter_context(memory_limit(options.memory << 20))
        if options.tf32:
            stack.enter_context(tf32())
        seen = stack.enter_context(watching(trace=options.trace))
        try:
            _run(options.target, options.rest, is_module=options.is_module)
        finally:
            stack.close()
            if options.report:
                options.report.write_text(seen.text(limit=1000) + "\n")
            else:
                print(seen.text(), file=sys.stderr)


def _run(target: str, rest: list[str], *, is_module: bool) -> None:
    sys.argv = [target, *rest]
    sys.path.insert(0, os.getcwd())
    if is_module:
        runpy.run_module(target, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(target, run_name="__main__")


if __name__ == "__main__":
    main()
