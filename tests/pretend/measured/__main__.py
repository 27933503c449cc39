"""Measure all steps and print the table: `PYTHONPATH=.:tests/pretend python -m measured [NAME ...]`."""

import sys

import torch

from measured.costs import costs_of, operators_by_name
from measured.steps import STEPS
from pretended.device import install


def main(names: list[str]) -> None:
    """Print a row for each step; for steps that are named, their operators too."""
    install()
    torch.set_num_threads(1)
    for name in names or STEPS:
        measured = STEPS[name]
        run = measured.prepare(torch.device("cuda"))
        costs = costs_of(run, few=measured.few, more=measured.more)
        print(f'    "{name}": Costs({costs.waits}, once={costs.once}, operators={costs.operators}),', flush=True)
        if names:
            for operator, count in operators_by_name(run, few=measured.few, more=measured.more).most_common():
                print(f"{count / (measured.more - measured.few):10.2f}  {operator}")


main(sys.argv[1:])
