"""Options and arguments of a verb that set keys of its configuration, and what a shell completes for them."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaluation.jobs.console.configuration import config_class

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class Setting(click.Option):
    """An option that overrides one key of the verb's configuration, whose default the help shows."""

    def __init__(self, *flags: str, key: str, **attributes: Any) -> None:
        # None tells "not given" from False, which would override the file.
        super().__init__(list(flags), default=None, **attributes)
        self.key = key

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        return _setting_values(self, ctx, incomplete) or super().shell_complete(ctx, incomplete)

    def get_help_extra(self, ctx: click.Context) -> Any:
        from advgan.config.resolve import default_of

        extra = super().get_help_extra(ctx)
        default = default_of(config_class(ctx.command), self.key)
        if default not in (None, (), False):
            extra["default"] = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        return extra


class SettingArgument(click.Argument):
    """A positional argument that overrides one key of the verb's configuration."""

    def __init__(self, name: str, *, key: str, **attributes: Any) -> None:
        super().__init__([name], **attributes)
        self.key = key

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        return _setting_values(self, ctx, incomplete)


def _setting_values(setting: Setting | SettingArgument, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
    from evaluation.jobs.console.completion import setting_values

    return setting_values(config_class(ctx.command), setting.key, incomplete)


def completes(name: str) -> Any:
    """Completions of an option that is no setting: the function of that name, given the verb or what it configures."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        completion = import_module("evaluation.jobs.console.completion")
        found: list[CompletionItem] = getattr(completion, name)(ctx, incomplete)
        return found

    return complete


class Fractions(click.ParamType[Any]):
    """A comma-separated list of numbers, each of which may be a fraction."""

    name = "eps,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


class Words(click.ParamType[Any]):
    """A comma-separated list of words."""

    name = "name,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


PATH = click.Path(path_type=Path)
NORM = click.Choice(["linf", "l2", "l1", "l0"])
