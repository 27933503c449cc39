"""The configuration of a verb."""

from importlib import import_module
from typing import Any

import click


def config_class(command: click.Command) -> Any:
    """The class that is named after the command, in `evaluation.jobs.<verb>.config`."""
    name = str(command.name)
    return getattr(import_module(f"evaluation.jobs.{name}.config"), f"{name.capitalize()}Config")
