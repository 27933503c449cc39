"""The names that `advgan ls` lists: attacks, data, metrics, models, presets and runs, each with a line about it."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from advgan.config.presets import preset_file, preset_names
from advgan.storage.runs import Run

if TYPE_CHECKING:
    from attacks import Entry

ABOUT_DATA = {
    "digits": "1,797 handwritten digits, 8x8 grey; embedded, the default",
    "mnist": "70,000 handwritten digits, 28x28 grey",
    "fashion-mnist": "70,000 pieces of clothing, 28x28 grey",
    "cifar10": "60,000 photographs in 10 classes, 32x32 colour",
    "cifar100": "60,000 photographs in 100 classes, 32x32 colour",
    "svhn": "99,289 house numbers, 32x32 colour",
    "stl10": "13,000 photographs in 10 classes, 96x96 colour",
    "celeba": "202,599 faces, colour; needs --resize",
    "gaussian": "points on a line from N(4, 0.5), drawn from the seed",
    "ring": "points of 8 modes on a circle (PacGAN's protocol), drawn from the seed",
    "grid": "points of 5x5 modes (PacGAN's protocol), drawn from the seed",
}


def listing(what: str) -> list[tuple[str, str]]:
    """Pairs of a name and a line about it."""
    return {
        "attacks": _attacks,
        "data": _data,
        "extractors": _extractors,
        "families": _families,
        "losses": _losses,
        "metrics": _metrics,
        "models": _models,
        "presets": _presets,
        "protocols": _protocols,
        "runs": _runs,
    }[what]()


def _attacks() -> list[tuple[str, str]]:
    from attacks import TABLE
    from attacks.foolbox import PREFIX, foolbox_entry, foolbox_names

    ours = [(name, _about(entry)) for name, entry in TABLE.items()]
    return ours + [(PREFIX + name, _about(foolbox_entry(name))) for name in foolbox_names()]


def _about(entry: "Entry") -> str:
    knows = "nothing" if entry.knowledge == "none" else entry.knowledge
    facts = f"[{', '.join(entry.norms) or 'no norm'}; {knows}; {entry.aim}]"
    if not isinstance(entry.attack, partial):
        return f"{facts} {_first_line(entry.attack)}"
    options = ", ".join(f"{name}={value}" for name, value in entry.attack.keywords.items())
    return f"{facts} {options}: {_first_line(entry.attack)}"


def _data() -> list[tuple[str, str]]:
    from advgan.data import KNOWN

    return [
        *((name, ABOUT_DATA[name]) for name in KNOWN),
        ("stacked:SOURCE", "three random digits of a source as one colour image, 1,000 classes: stacked:mnist"),
        ("hf:ORG/NAME@SPLIT", "a data set of Hugging Face; needs advgan[hf]"),
        ("PATH", "a folder, .zip or .tar.gz of images: class folders, splits, a labels.csv beside them, or none of it"),
        ("PATH", "arrays in an .npz, .npy or .pt file; parquet, or what save_to_disk of Hugging Face leaves"),
    ]


def _extractors() -> list[tuple[str, str]]:
    from evaluation.extractors import ALIASES, EXTRACTORS

    named = [(name, _first_line(build)) for name, build in EXTRACTORS.items() if "@" not in name]
    short = [(name, f"short for {long}") for name, long in ALIASES.items()]
    return [*named, *short, ("RUN", "the run of a classifier"), ("FILE.py:OBJECT", "a network of your own")]


def _families() -> list[tuple[str, str]]:
    from advgan.models.gans.families import GANS

    return [(name, f"images {family.says}: {_first_line(family.generator)}") for name, family in GANS.items()]


def _losses() -> list[tuple[str, str]]:
    from advgan.gan.losses import LOSSES

    return [
        (name, f"D: {_first_line(loss.discriminator)} G: {_first_line(loss.generator)}")
        for name, loss in LOSSES.items()
    ]


def _protocols() -> list[tuple[str, str]]:
    from evaluation.features.protocols import PROTOCOLS

    return [(name, protocol.purpose) for name, protocol in PROTOCOLS.items()]


def _metrics() -> list[tuple[str, str]]:
    from evaluation.metric_words import ALL, COSTLY, GROUPS

    costly = "; costly, so only where it is named"
    groups = [(name, f"group: {', '.join(words)}") for name, words in GROUPS.items()]
    return [
        *(
            (word, f"{text.removesuffix('; costly')}{costly if word in COSTLY else ''}")
            for words in GROUPS.values()
            for word, text in words.items()
        ),
        *groups,
        (ALL, "every metric, the costly ones too"),
    ]


def _models() -> list[tuple[str, str]]:
    from advgan.models.classifiers.architectures import CLASSIFIERS

    ours = [(name, _first_line(build)) for name, build in CLASSIFIERS.items()]
    return [
        *ours,
        ("RUN", "the folder of a run of `advgan fit`, or its .safetensors checkpoint"),
        ("torchvision:NAME@WEIGHTS", "a torchvision network with the mean, std and size of its weights"),
        ("timm:NAME", "a timm network (pip install 'advgan[timm]')"),
        ("hf-hub:ORG/NAME@REV", "a timm network from the Hugging Face hub"),
        ("FILE.py:OBJECT", "a module, or a function that returns one; runs that file"),
        ("MODEL.pt2", "a program of torch.export"),
        ("MODEL.onnx", "an ONNX file: no gradients, so only attacks that need none"),
    ]


def _presets() -> list[tuple[str, str]]:
    rows = []
    for verb in ("attack", "fit", "train"):
        for name in preset_names(verb):
            first = preset_file(verb, name).read_text(encoding="utf-8").splitlines()[0]
            rows.append((f"{verb} --preset {name}", first.removeprefix("# ")))
    return rows


def _runs() -> list[tuple[str, str]]:
    return [(str(file.parent), _status(file.parent)) for file in sorted(Path("runs").glob("*/*/config.yaml"))]


def _status(folder: Path) -> str:
    from evaluation.report.results import Results

    if not (folder / "results.json").is_file():
        return "unfinished" + (" (--resume goes on)" if Run(folder).last.is_file() else "")
    try:
        return Results.load(folder).verdict
    except ValueError as error:  # of one run: the others are listed all the same
        return f"damaged ({' '.join(str(error).split())})"


def _first_line(item: object) -> str:
    found = item.func if isinstance(item, partial) else item
    return (found.__doc__ or "").strip().splitlines()[0]
