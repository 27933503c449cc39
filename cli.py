"""The `advgan` command: parse, one library call, print its table.

Nothing here imports torch before a verb runs, so `advgan --help` and completion answer at once.
"""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from advgan.harmless import printable
from advgan.machine import signals
from evaluation.jobs.console.configuration import config_class
from evaluation.jobs.console.origins import name_the_variable
from evaluation.jobs.console.parameters import (
    NORM,
    PATH,
    Fractions,
    Setting,
    SettingArgument,
    Words,
    completes,
)
from evaluation.jobs.console.speaking import Lines, echo, echo_json
from evaluation.jobs.console.verb import Plain, Verb

log = logging.getLogger("advgan")


DATA_OPTIONS: list[click.Parameter] = [
    Setting(
        "--data",
        key="data.source",
        metavar="SOURCE",
        help="digits, ring, grid, stacked:DIR, hf:ORG/NAME, torchvision's, or a path.",
    ),
    Setting("--resize", key="data.resize", type=int, metavar="PIXELS", help="Resize images to this side."),
    Setting("--channels", key="data.channels", type=int, metavar="1|3", help="Make images grey or colour."),
    Setting("--skip-bad/--no-skip-bad", key="data.skip_bad", help="Leave out images that cannot be read."),
]
RESUME = click.Option(
    ["--resume"],
    metavar="RUN|auto",
    shell_complete=completes("runs_to_resume"),
    help="Go on with an interrupted run, exactly.",
)
MODEL = Setting("-m", "--model", key="model", help="Classifier: a run, a checkpoint, resnet, torchvision:NAME, ...")
FOREIGN_OPTIONS: list[click.Parameter] = [
    Setting("--mean", key="mean", type=Fractions(), help="Channel means that a foreign model expects."),
    Setting("--std", key="std", type=Fractions(), help="Channel deviations that a foreign model expects."),
]
BATCH = Setting("-b", "--batch-size", key="batch_size", type=int, help="Images at once; changes no number.")
ROOM = Setting("-b", "--batch-size", key="batch_size", metavar="N|auto", help="Images at once; auto halves if it must.")
FEATURES = Setting("--features", key="features", help="auto, inception, or the run of a classifier.")
ATTACK_OPTIONS: list[click.Parameter] = [
    Setting("--norm", key="norm", type=NORM, help="Norm of the perturbation."),
    Setting("--eps", key="eps", type=Fractions(), help="Budgets, such as 8/255,4/255."),
    Setting("--steps", key="steps", type=int, help="Steps of iterated attacks; else each one's own."),
    Setting("--step-size", key="step_size", help="Step of iterated attacks; else 2.5 eps / steps."),
]

FIT = Verb(
    "fit",
    seed="training.seed",
    preset=True,
    help="""Train a classifier, plainly or adversarially.

    \b
    Examples:
      advgan fit --model cnn
      advgan fit --data ~/mnist --model cnn --defense pgd --eps 0.3
      advgan fit --data ~/mnist --defense pgd --extra runs/augment/00001-mnist/images""",
    params=[
        Setting("-m", "--model", key="network.name", help="mlp, cnn, resnet, torchvision:NAME, timm:NAME, file.py:f."),
        *DATA_OPTIONS,
        Setting("--epochs", key="training.epochs", type=int, help="Passes over the training images."),
        Setting("-b", "--batch-size", key="training.batch_size", type=int, help="Images a step."),
        Setting("--defense", key="training.defense.name", help="Adversarial training: none, fgsm or pgd."),
        Setting("--eps", key="training.defense.eps", help="Budget of the defense."),
        Setting("--norm", key="training.defense.norm", type=NORM, help="Norm of the defense."),
        Setting("--steps", key="training.defense.steps", type=int, help="Attack steps of the defense."),
        Setting("--extra", key="extra", metavar="DIR", help="Also learn from these images (advgan augment)."),
        RESUME,
    ],
)
ATTACK = Verb(
    "attack",
    preset=True,
    help="""Attack a classifier and report how much of it is left.

    \b
    Examples:
      advgan attack --model resnet
      advgan attack --model runs/fit/00001-digits-cnn --attack fgsm,pgd --eps 0.1,0.2
      advgan attack --suite standard --data ~/cifar10 --model RUN
      torchrun --nproc-per-node 4 -m advgan attack --suite standard --model RUN
      advgan attack --model torchvision:resnet50@IMAGENET1K_V2 --data ~/imagenet --eps 4/255""",
    params=[
        MODEL,
        *DATA_OPTIONS,
        Setting("--attack", key="attacks", type=Words(), help="Attacks; `advgan ls attacks`."),
        *ATTACK_OPTIONS,
        Setting("--restarts", key="restarts", type=int, help="Random starts of attacks that have them."),
        Setting("--queries", key="queries", type=int, help="Forward passes an image, of attacks without gradients."),
        Setting("--targeted/--untargeted", key="targeted", help="Reach a random wrong class."),
        Setting("--eight-bit/--float", key="eight_bit", help="Count only images of 8 bits, as a file holds them."),
        Setting("--cascade/--no-cascade", key="cascade", help="Give each attack only what those before it left."),
        Setting(
            "-n", "--num-samples", key="num_samples", type=int, help="Test images, each class in proportion; else all."
        ),
        ROOM,
        Setting("--precision", key="precision", help="float32, or bfloat16 with every success confirmed in float32."),
        Setting("--save", key="save", type=Words(), help="Keep the images: png, npz, torchattacks, autoattack."),
        RESUME,
        *FOREIGN_OPTIONS,
    ],
)
TRAIN = Verb(
    "train",
    seed="training.seed",
    preset=True,
    help="""Train a GAN.

    \b
    Examples:
      advgan train --preset digits
      advgan train --data ~/mnist --loss hinge --steps 5000
      torchrun --nproc-per-node 2 --max-restarts 3 -m advgan train --preset small --data ~/mnist --out RUN
      advgan train --resume auto""",
    params=[
        *DATA_OPTIONS,
        Setting("--family", key="networks.family", help="mlp, dcgan, sngan, biggan, progressive, r3gan, lapgan…"),
        Setting("--conditional/--unconditional", key="networks.conditional", help="Give both networks the class."),
        Setting("--loss", key="training.loss", help="non-saturating, hinge, wasserstein, relativistic, minimax, ..."),
        Setting("--steps", key="training.steps", type=int, help="Generator steps."),
        Setting("-b", "--batch-size", key="training.batch_size", type=int, help="Images a step."),
        Setting("-n", "--num-samples", key="num_samples", type=int, help="Generated images for each evaluation."),
        Setting("--patience", key="patience", type=int, help="Evaluations without a better distance before it stops."),
        FEATURES,
        RESUME,
    ],
)
CHECKPOINT = Setting("--ckpt", key="checkpoint", metavar="RUN", help="Run or checkpoint of a GAN.")
SAMPLE = Verb(
    "sample",
    help="""Draw images from a trained generator: PNG folders, one .npz and a grid.

    \b
    Examples:
      advgan sample --ckpt runs/train/00001-digits -n 100
      advgan sample --ckpt RUN --indices 3,17,200-210 --truncation 0.7
      advgan sample --ckpt RUN --interpolate slerp
      advgan sample --ckpt RUN --arithmetic "7 - 1 + 0" """,
    params=[
        CHECKPOINT,
        Setting("-n", "--num-samples", key="num_samples", type=int, help="How many images, paths or rows."),
        Setting("--indices", key="indices", metavar="3,17,200-210", help="These samples of the seed, not the first."),
        Setting("--label", key="label", help="Only this class, of a conditional generator."),
        Setting("--truncation", key="truncation", metavar="PSI", help="Truncate the noise at this threshold (BigGAN)."),
        Setting("--grid", key="grid", type=click.Choice(["images", "class"]), help="class: z by row, class by column."),
        Setting(
            "--interpolate", key="interpolate", type=click.Choice(["lerp", "slerp"]), help="Paths between latents."
        ),
        Setting("--traverse", key="traverse", metavar="COORD", help="Move a noise entry, code0, ... or categorical."),
        Setting("--steps", key="steps", type=int, help="Images along a path or a traversal."),
        Setting("--arithmetic", key="arithmetic", metavar="'A - B + C'", help="Add up mean latents of classes."),
        Setting("-m", "--model", key="model", help="Classifier that tells the classes for --arithmetic."),
        *FOREIGN_OPTIONS,
        Setting("--data", key="data.source", metavar="SOURCE", help="What it knows; else the data of the GAN's run."),
        Setting("--reject/--no-reject", key="reject", help="Keep images as the discriminator's odds say."),
        Setting(
            "--reject-percentile", key="reject_percentile", metavar="P", help="Higher keeps fewer and corrects more."
        ),
        BATCH,
    ],
)
EVAL = Verb(
    "eval",
    help="""Score generators and sets of images: distances, coverage, copies, latent space, discriminator.

    \b
    Examples:
      advgan eval --ckpt runs/train/00001-digits
      advgan eval runs/train/00001-digits runs/train/00002-digits --compare
      advgan eval generated/ --data ~/my-images --features auto,inception
      advgan eval generated.npz --reference real/ --features inception --protocol clean""",
    params=[
        SettingArgument("subjects", key="subjects", nargs=-1, metavar="[SUBJECT]..."),
        Setting("--ckpt", key="subjects", multiple=True, metavar="RUN", help="A GAN's run; repeat to compare."),
        *DATA_OPTIONS,
        Setting("--reference", key="reference", metavar="SUBJECT", help="Images or statistics to hold them against."),
        Setting(
            "--features",
            key="features",
            type=Words(),
            help="auto, inception, vgg16, clip, dinov2, pixels, random, FILE.py:OBJECT or the run of a classifier.",
        ),
        Setting("--protocol", key="protocol", help="torch-fidelity, pytorch-fid, clean or stylegan3, for Inception."),
        Setting("--metrics", key="metrics", type=Words(), help="Metrics or groups, or all; `advgan ls metrics`."),
        Setting("--compare/--no-compare", key="compare", help="Say which differences are significant."),
        Setting("-n", "--num-samples", key="num_samples", type=int, help="Generated images."),
        Setting("--num-real", key="num_real", type=int, help="Real images, at most."),
        ROOM,
    ],
)
AUGMENT = Verb(
    "augment",
    help="""Write a training set of real, adversarial and generated images.

    \b
    Example:
      advgan augment --model cnn --attack pgd --eps 0.2 --ckpt runs/train/00001-digits""",
    params=[
        MODEL,
        *DATA_OPTIONS,
        Setting("--attack", key="attacks", type=Words(), help="Attacks to make adversarial images with."),
        *ATTACK_OPTIONS,
        Setting("--ckpt", key="checkpoint", metavar="RUN", help="GAN to draw generated images from."),
        Setting("--num-adversarial", key="num_adversarial", type=int, help="Adversarial images an attack; else all."),
        Setting("--num-generated", key="num_generated", type=int, help="Generated images."),
        Setting("--min-confidence", key="min_confidence", help="Keep generated images that the classifier is sure of."),
        BATCH,
        *FOREIGN_OPTIONS,
    ],
)
DEMO = Verb(
    "demo",
    help="""Run the whole loop: attack, generate, augment, harden, attack again.

    \b
    Examples:
      advgan demo
      advgan demo --data ~/my-images""",
    params=[*DATA_OPTIONS, Setting("--eps", key="eps", help="Budget of the attacks (linf).")],
)
EXPORT = Verb(
    "export",
    help="""Write a trained network for other tools.

    \b
    Examples:
      advgan export --ckpt runs/train/00001-digits --format onnx
      advgan export --ckpt runs/train/00001-digits --format fidelity
      advgan export --ckpt runs/train/00001-digits --push-to-hub ORG/NAME""",
    params=[
        Setting("--ckpt", key="checkpoint", metavar="RUN", help="Run or checkpoint of a GAN or classifier."),
        Setting(
            "--format", key="format", help="safetensors (with config.json), pt2, onnx, or fidelity (torch-fidelity)."
        ),
        Setting("--push-to-hub", key="push_to_hub", metavar="ORG/NAME", help="Also upload it, with a model card."),
        Setting("--private/--public", key="private", help="A new repository of the hub is private."),
    ],
)


@click.group(
    context_settings={"auto_envvar_prefix": "ADVGAN", "help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="advgan")
def cli() -> None:
    """Adversarial examples and GANs in one loop: attack, generate, augment, harden, attack again.

    \b
    Start with:
      advgan demo                     the whole loop on real digits, in minutes
      advgan attack --model resnet    break a classifier
      advgan eval --ckpt RUN          score a generator
    """


for verb in (DEMO, FIT, ATTACK, TRAIN, SAMPLE, EVAL, AUGMENT, EXPORT):
    cli.add_command(verb)


@cli.command(cls=Plain)
@click.argument("runs", nargs=-1, required=True, type=PATH, shell_complete=completes("runs"))
@click.option("-o", "--out", type=PATH, help="File or folder of a comparison; default: comparison.html here.")
def report(runs: tuple[Path, ...], out: Path | None) -> None:
    """Rebuild the report of a run, or join several runs into one comparison."""
    from evaluation.report.page import write_report
    from evaluation.side_by_side.page import write_comparison

    if len(runs) == 1 and out is None:
        echo(write_report(runs[0]))
    else:
        echo(write_comparison(list(runs), out or Path("comparison.html")))


@cli.command(cls=Plain)
@click.argument("runs", nargs=-1, required=True, type=PATH, shell_complete=completes("runs"))
@click.option("-o", "--out", type=PATH, help="Also write the page that joins them, into this file or folder.")
@click.option("--json", "as_json", is_flag=True, help="Print every row as one JSON object instead of a table.")
def compare(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Say which of several runs is better in what, and whether by more than chance."""
    from evaluation.side_by_side.page import comparison_file, write_comparison
    from evaluation.side_by_side.printing import print_comparison

    if len(runs) < 2:
        raise click.UsageError(f"compare takes two runs or more; got {len(runs)}: name another, advgan ls runs has all")
    target = comparison_file(out) if out else None
    print_comparison(runs, as_json=as_json)
    if target:
        echo(write_comparison(runs, target), err=as_json)


LISTED = (
    "attacks",
    "data",
    "extractors",
    "families",
    "losses",
    "metrics",
    "models",
    "presets",
    "protocols",
    "runs",
)


@cli.command("ls", cls=Plain)
@click.argument("what", type=click.Choice(LISTED))
def list_names(what: str) -> None:
    """List what there is to choose from."""
    from evaluation.jobs.listing import listing

    found = listing(what)
    width = max((len(name) for name, _ in found), default=0)
    for name, text in found:
        echo(f"{name:<{width}}  {text}".rstrip())


@cli.command("env", cls=Plain)
def show_environment() -> None:
    """Show versions and devices: paste this into a bug report."""
    from advgan.machine.devices import describe_devices
    from advgan.storage.runs import environment

    echo_json({**environment(), "devices": describe_devices()}, indent=2)


@cli.group("config")
def config_group() -> None:
    """Show, write and check configuration files."""


def _config_class(name: str) -> Any:
    command = cli.commands.get(name)
    if not isinstance(command, Verb):
        verbs = ", ".join(key for key, value in cli.commands.items() if isinstance(value, Verb))
        raise click.UsageError(f"no configuration for {name!r}; verbs that have one: {verbs}")
    return config_class(command)


@config_group.command("show", cls=Plain)
@click.argument("verb", shell_complete=completes("configured_verbs"))
@click.option(
    "--preset",
    metavar="NAME",
    shell_complete=completes("presets"),
    help="Show this preset, with the defaults that it leaves.",
)
def config_show(verb: str, preset: str | None) -> None:
    """Print the whole configuration of a verb as YAML."""
    from advgan.config.presets import preset_file
    from advgan.config.resolve import dump_yaml, resolve

    echo(dump_yaml(resolve(_config_class(verb), file=preset_file(verb, preset) if preset else None)), nl=False)


@config_group.command("init", cls=Plain)
@click.argument("verb", shell_complete=completes("configured_verbs"))
@click.argument("file", type=PATH)
def config_init(verb: str, file: Path) -> None:
    """Write the defaults of a verb into a new file, to edit and pass with --config."""
    from advgan.config.resolve import dump_yaml, resolve
    from advgan.storage.atomic import write_atomically

    if file.exists():
        raise click.UsageError(f"{file} exists already; choose another name")
    write_atomically(file, dump_yaml(resolve(_config_class(verb))))


@config_group.command("validate", cls=Plain)
@click.argument("verb", shell_complete=completes("configured_verbs"))
@click.argument("file", type=PATH)
def config_validate(verb: str, file: Path) -> None:
    """Check a configuration file and say what is wrong with it."""
    from advgan.config.resolve import resolve

    resolve(_config_class(verb), file=file)
    echo(f"{file}: a valid configuration of advgan {verb}")


def _set_up_logging(arguments: Sequence[str]) -> None:
    """Notes go to stderr; -q silences them and every progress bar."""
    quiet = any(argument in ("-q", "--quiet") for argument in arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines("%(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(logging.ERROR if quiet else logging.DEBUG if _verbosity(arguments) else logging.INFO)
    log.propagate = False


def _warned(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return printable(_FORMAT(message, category, filename, lineno, line), kept="\n")


_FORMAT = warnings.formatwarning


def _verbosity(arguments: Sequence[str]) -> int:
    short = sum(a.count("v") for a in arguments if a.startswith("-v") and not a.startswith("--"))
    return short + arguments.count("--verbose")


_NO_ARGUMENTS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""What click raises where a group is given nothing: its message is the help. Before 8.2 it showed that itself."""


def _guarded(call: Callable[[], object], trace: bool) -> int:
    """Run the command; turn every way of ending into an exit code and at most one line."""
    try:
        result = call()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except _NO_ARGUMENTS as error:
        echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" ({context.command_path} --help says more)" if context and context.parent else ""
        if isinstance(error, click.BadParameter):
            name_the_variable(error)
        echo(f"Error: {' '.join(error.format_message().split())}{hint}", err=True)
        return error.exit_code
    except (signals.Stopped, KeyboardInterrupt, click.Abort) as end:
        return _interrupted(str(end.__cause__ or end))
    except BrokenPipeError:
        return 1
    except Exception as error:
        if signals.received():  # and this is what the interrupted work made of it
            return _interrupted()
        if trace:
            echo(traceback.format_exc(), err=True)
        from evaluation.jobs.console.endings import ending

        code, text = ending(error)
        echo(f"Error: {text}", err=True)
        return code


def _interrupted(way_on: str = "") -> int:
    if signals.speaks():
        with suppress(OSError):  # the terminal may be gone
            echo(f"{signals.word()} {way_on}".rstrip(), err=True)
    return signals.exit_code()


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: exits 0 done, 1 failed, 2 wrong usage, 100 a gate failed, 130 interrupted, 143 stopped by SIGTERM.

    Without `arguments` this is the command itself, which ends by signals as `signals` says.
    """
    if arguments is None:
        signals.watch()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # Read once, when torch is loaded. Threads that wait for each other must not hold the cores meanwhile: beside other
    # jobs that was measured 5 to 50 times slower than to sleep, since those waited for had no core to run on.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # All our figures are SVG; a backend that matplotlib does not know would end the report after all the work.
    os.environ["MPLBACKEND"] = "svg"
    _set_up_logging(arguments)
    warnings.formatwarning = _warned
    trace = _verbosity(arguments) >= 2
    code = _guarded(lambda: cli.main(arguments, prog_name="advgan", standalone_mode=False), trace)
    if signals.received():
        signals.leave(code)  # what threads and libraries would still do is not waited for
    sys.exit(code)


if __name__ == "__main__":
    main()
