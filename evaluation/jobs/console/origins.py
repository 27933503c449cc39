"""The origin of each setting of a call: a command line option or an environment variable."""

import os
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from evaluation.jobs.console.parameters import Setting, SettingArgument

_ENVIRONMENT = ParameterSource.ENVIRONMENT


def given_settings(ctx: click.Context) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that were given, by key, and where each was; what may be given twice is joined."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for param in ctx.command.params:
        if not isinstance(param, (Setting, SettingArgument)):
            continue
        value = ctx.params[str(param.name)]
        if isinstance(value, tuple):
            value = [*values.get(param.key, []), *value] or None
        if value is not None:
            values[param.key] = value
            origins[param.key] = origin(ctx, param)
    return values, origins


def origin(ctx: click.Context, param: click.Parameter) -> str:
    """How the user wrote a parameter: the variable, or the option, of a pair the one that was meant."""
    if ctx.get_parameter_source(str(param.name)) is _ENVIRONMENT:
        return variable(ctx, param)
    if isinstance(param, click.Argument):
        return str(param.make_metavar(ctx))
    names = param.secondary_opts if ctx.params.get(str(param.name)) is False and param.secondary_opts else param.opts
    return max(names, key=len)


def variable(ctx: click.Context, param: click.Parameter) -> str:
    """The variable of the environment that sets a parameter, `ADVGAN_FIT_EPOCHS`."""
    return f"{ctx.auto_envvar_prefix}_{str(param.name).upper()}"


def name_the_variable(error: click.BadParameter) -> None:
    """Let an error about a value say the variable that holds it, where the user wrote no option."""
    if error.ctx and error.param and error.ctx.get_parameter_source(str(error.param.name)) is _ENVIRONMENT:
        error.param_hint = f"{variable(error.ctx, error.param)}"


def refuse_strays(ctx: click.Context) -> None:
    """Refuse a variable that is named like one of the verb's and that no option reads."""
    import difflib

    known = [variable(ctx, param) for param in ctx.command.params if isinstance(param, click.Option)]
    for name in sorted(os.environ):
        if name.startswith(f"{ctx.auto_envvar_prefix}_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"advgan {ctx.info_name} --help lists its options"
            raise ValueError(f"{name} is set, and advgan {ctx.info_name} has no such option: unset it ({hint})")


def check_run_options(options: Mapping[str, Any]) -> None:
    """Refuse options about a run that this call does not use."""
    if options["exist_ok"] and options["out"] is None:
        raise ValueError("--exist-ok: nothing uses it here: a run without --out gets a folder of its own")
    if options["dry_run"] and options["json"]:
        raise ValueError("--json: nothing uses it here: --dry-run prints YAML and makes no scores")
    if options.get("resume") and options["out"] is not None:
        raise ValueError("--out: nothing uses it here: --resume goes on in the folder of its run")
