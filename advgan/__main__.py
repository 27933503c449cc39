"""`python -m advgan` is the command, also under torchrun, whatever files the working folder holds.

Python puts the working folder first on its path, where a user's own `cli.py` or `attacks.py` would stand in for ours.
"""

from advgan.machine.signals import watch

watch()  # before all that takes time to import

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

HOME = Path(__file__).resolve().parent.parent


def main() -> None:
    """Move the working folder to the end of `sys.path`, unless it holds this package, and run the command."""
    here = [place for place in sys.path if Path(place or ".").resolve() == Path.cwd()]
    if here and Path.cwd() != HOME:
        sys.path[:] = [place for place in sys.path if place not in here] + here[:1]
    from cli import main as command

    command()


if __name__ == "__main__":
    main()
