"""A verb of the command line: resolve its options to a configuration, run its job, print the outcome."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from evaluation.jobs.console.configuration import config_class
from evaluation.jobs.console.origins import check_run_options, given_settings, refuse_strays
from evaluation.jobs.console.parameters import PATH, Setting, completes

GATE_FAILED = 100

LIMIT = click.Option(
    ["--limit"],
    multiple=True,
    metavar="NAME=AMOUNT",
    help="Read larger files than is safe by default, as the error says.",
)
RUN_OPTIONS: list[click.Parameter] = [
    click.Option(["-c", "--config"], type=PATH, metavar="FILE", help="YAML file with settings."),
    click.Option(
        ["--set"],
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=completes("assignments"),
        help="Set any key of the configuration.",
    ),
    click.Option(["-o", "--out"], type=PATH, metavar="DIR", help="Run folder; else the next under runs/."),
    click.Option(["--exist-ok"], is_flag=True, help="Write into a folder that holds files."),
    click.Option(
        ["--device"],
        default="auto",
        show_default=True,
        shell_complete=completes("devices"),
        help="auto, cpu, cuda, cuda:1 or mps.",
    ),
    click.Option(["-j", "--workers"], type=click.IntRange(0, 1024), help="Threads that read images; else one a core."),
    *(
        click.Option(
            [f"--fail-{side}"],
            multiple=True,
            metavar="METRIC=X",
            shell_complete=completes("bounds"),
            help=f"Exit 100 where a score is {words} X.",
        )
        for side, words in (("under", "below"), ("over", "above"))
    ),
    click.Option(["--fail-on"], type=click.Choice(["warning", "failure"]), help="Exit 100 where a finding is one."),
    LIMIT,
    click.Option(
        ["--trust"],
        multiple=True,
        metavar="FILE.py",
        help="Run this file, or fetch this network, though only a stored run names it.",
    ),
    click.Option(["--dry-run"], is_flag=True, help="Print the settings and the work ahead; write nothing."),
    click.Option(["--json"], is_flag=True, help="Print one JSON object instead of a table."),
    click.Option(["-q", "--quiet"], is_flag=True, help="No progress, no notes."),
    click.Option(["-v", "--verbose"], count=True, help="More notes; -vv shows the trace of an error."),
]
LOUDNESS = RUN_OPTIONS[-2:]
"""Read from the arguments themselves, before anything else can fail; here for the help."""


class Limited(click.Command):
    """A command that reads files of others, within limits that `--limit` raises."""

    def invoke(self, ctx: click.Context) -> Any:
        from advgan.intake.limits import raised

        with raised(ctx.params.pop("limit")):
            return self.call(ctx)

    def call(self, ctx: click.Context) -> Any:
        """Do what the command is for."""
        return super().invoke(ctx)


class Verb(Limited):
    """A verb that resolves its `evaluation.jobs.<name>.config` and hands it to `evaluation.jobs.<name>.job.run`."""

    def __init__(
        self,
        name: str,
        *,
        help: str,
        params: Sequence[click.Parameter],
        preset: bool = False,
        seed: str = "seed",
    ) -> None:
        starts = [
            click.Option(
                ["--preset", "--suite", "preset"],
                metavar="NAME",
                help="Start from a preset; `advgan ls presets`.",
                shell_complete=completes("presets"),
            )
        ]
        seeds = [Setting("--seed", key=seed, type=int, help="Seed of all that is random.")]
        super().__init__(name, help=help, params=[*params, *(starts if preset else []), *seeds, *RUN_OPTIONS])

    def call(self, ctx: click.Context) -> None:
        from advgan.storage.foreign_code import naming

        with naming(ctx.params["trust"]):
            self._work(ctx)

    def _work(self, ctx: click.Context) -> None:
        from advgan.machine.signals import closing
        from advgan.storage.foreign_code import naming, stored_names
        from advgan.storage.lock import holding
        from evaluation.jobs.answers import stopping
        from evaluation.jobs.console.at_work import working
        from evaluation.jobs.console.gates import check_gates, failures, parse_gates
        from evaluation.jobs.console.printing import print_outcome
        from evaluation.jobs.console.speaking import echo
        from evaluation.jobs.setup import Setup

        options = ctx.params
        check_run_options(options)
        gates = [*parse_gates("--fail-under", options["fail_under"]), *parse_gates("--fail-over", options["fail_over"])]
        setup = Setup(**{name: options[name] for name in ("device", "out", "exist_ok")}).reading(options["workers"])
        config, setup = self._configuration(ctx, setup)
        check_gates(gates, str(self.name), config)
        job = import_module(f"evaluation.jobs.{self.name}.job")
        if options["dry_run"]:
            from advgan.config.resolve import dump_yaml

            setup.torch_device()
            with working(), stored_names() if setup.resume else naming(config.texts()):
                plan = job.plan(config, setup)
            echo(dump_yaml(config) + "".join(f"# {line}\n" for line in plan), nl=False)
            return
        setup.check_place(str(self.name))
        with closing(), holding(), working(), stored_names() if setup.resume else naming(config.texts()):
            outcome = job.run(config, _ours(setup))
        if outcome is None:  # one of several processes, and not the one that answers
            return
        print_outcome(outcome, config, as_json=options["json"])
        if outcome.unwritten:
            raise outcome.unwritten
        lines = [*stopping(outcome.results.findings, options["fail_on"]), *failures(gates, outcome.results.scores)]
        for line in lines:
            echo(f"Gate failed: {line}", err=True)
        if lines:
            ctx.exit(GATE_FAILED)

    def _configuration(self, ctx: click.Context, setup: Any) -> tuple[Any, Any]:
        """Defaults < preset < file < environment < command line; a resumed run brings its own, and may get longer."""
        from dataclasses import replace

        from advgan.config.presets import preset_file
        from advgan.config.resolve import parse_assignments, resolve
        from evaluation.jobs.places import check_stored_code, read_back

        options = ctx.params
        refuse_strays(ctx)
        overrides, origins = given_settings(ctx)
        assigned = parse_assignments(options["set"])
        overrides, origins = overrides | assigned, origins | {key: f"--set {key}" for key in assigned}
        if options.get("resume"):
            run = _run_to_resume(str(self.name), options["resume"])
            lengths = _LENGTHS.get(str(self.name), {})
            others = [origin for key, origin in origins.items() if key not in lengths]
            others += [f"--{name}" for name in ("config", "preset") if options.get(name)]
            if others:
                but = f" ({', '.join(lengths.values())} may stay, which make it longer)" if lengths else ""
                raise ValueError(
                    "--resume continues a run with its own configuration: drop the other settings, "
                    f"{', '.join(others)}{but}"
                )
            file = run.folder / "config.yaml"
            config = resolve(config_class(self), file=file, overrides=overrides, origins=origins)
            check_stored_code(config, run.folder)
            return read_back(config, run.folder), replace(setup, resume=run)
        if options.get("preset") and options["config"]:
            raise ValueError("--preset and --config: give one of them (a preset is a file too: advgan config show)")
        if options.get("preset") and "attacks" in origins:
            raise ValueError(f"{origins['attacks']} and --suite: give one of them; a suite says which attacks it has")
        file = preset_file(str(self.name), options["preset"]) if options.get("preset") else options["config"]
        return resolve(config_class(self), file=file, overrides=overrides, origins=origins), setup


_LENGTHS = {
    "train": {"training.steps": "--steps", "baseline.steps": "--set baseline.steps=N", "patience": "--patience"},
    "fit": {"training.epochs": "--epochs"},
}
"""The settings of each verb that say how long it trains, by which a resumed run may be made longer."""


def _run_to_resume(verb: str, name: str) -> Any:
    from advgan.storage.runs import latest_run, open_run

    run = latest_run(verb) if name == "auto" else open_run(Path(name))
    run.check_config()
    return run


def _ours(setup: Any) -> Any:
    """The setup, with the run that is resumed kept from other commands; one process of several does that for all."""
    import os

    from advgan.storage.lock import hold

    if setup.resume and os.environ.get("RANK", "0") == "0":
        hold(setup.resume.folder)
        setup.resume.clear_abandoned()
    return setup


class Plain(Limited):
    """A command without a run: it accepts -q, -v and --limit like every other, and does not pass them on."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params += [LIMIT, *LOUDNESS]

    def call(self, ctx: click.Context) -> Any:
        for option in LOUDNESS:
            ctx.params.pop(str(option.name), None)
        return super().call(ctx)
