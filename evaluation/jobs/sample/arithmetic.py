"""`advgan sample --arithmetic`: sums of mean latents of classes (Radford et al., 2016), classes by a classifier."""

import torch
from torch import Tensor

from advgan.data import Data, load_data
from advgan.models.latents import on_sphere
from advgan.sampling.arithmetic import Term, combine, group_means, parse_terms
from advgan.sampling.drawing import decode, draw
from advgan.sampling.stored import TrainedGan
from attacks import Classifier
from evaluation.jobs.judges import choose_classifier
from evaluation.jobs.sample.config import SampleConfig
from evaluation.jobs.sample.files import Drawing
from evaluation.jobs.setup import Setup
from evaluation.jobs.sources import known_data
from evaluation.jobs.uses import ARITHMETIC
from evaluation.report.panels import TablePanel
from evaluation.report.text import format_rate

LATENTS = 2000


def arithmetic(config: SampleConfig, gan: TrainedGan, setup: Setup) -> Drawing:
    """Decode the mean latent of each class of the sum, then the sum, with the classifier's prediction for each."""
    terms = check_arithmetic(config, gan)
    data, classifier = _judge(config, gan, setup)
    indices = config.chosen(LATENTS)
    latents = draw(gan.generator, indices, seed=config.seed, truncation=config.truncation)
    images = decode(gan.generator, latents, batch_size=config.batch_size)
    classes = _probabilities(classifier, images, config.batch_size).argmax(dim=1).to(latents.device)
    means = group_means(latents, classes, data.classes, [term.group for term in terms])
    total = combine(terms, means)
    rows = torch.stack([*means.values(), total])
    if gan.generator.space.kind == "sphere":
        rows = on_sphere(rows)
    drawn = decode(gan.generator, rows, batch_size=config.batch_size, device="cpu")
    seen = _probabilities(classifier, drawn, config.batch_size)
    sums = " ".join(f"{'-' if term.sign < 0 else '+'} {term.group}" for term in terms).removeprefix("+ ")
    counts = [int((classes == data.classes.index(name)).sum()) for name in means]
    panel = _table([*means, sums], counts, seen, data.classes)
    return Drawing(
        images=drawn,
        names=[*(f"mean-{number:03d}" for number in range(len(means))), "result"],
        labels=None,
        columns=len(drawn),
        verdict=f"{sums} is seen as {panel.rows[-1][2]} with probability {panel.rows[-1][3]}",
        caption=f"Decoded mean latents of {', '.join(means)}, then of {sums}.",
        header=(("classifier", f"{classifier.name}, of {len(latents):,} images"),),
        panels=(panel,),
    )


def check_arithmetic(config: SampleConfig, gan: TrainedGan) -> tuple[Term, ...]:
    """Read the sum; refuse what has no meaning."""
    assert config.arithmetic is not None
    if gan.generator.num_classes:
        raise ValueError(
            "--arithmetic adds up what latents say of a class, and this generator is told the class by a label: "
            "use --grid class, or an unconditional GAN"
        )
    if gan.generator.space.num_codes:
        raise ValueError("--arithmetic adds up noise, and the codes of this generator are no noise: use --traverse")
    return parse_terms(config.arithmetic)


def _judge(config: SampleConfig, gan: TrainedGan, setup: Setup) -> tuple[Data, Classifier]:
    given = known_data(config.data, config.checkpoint or "")
    if given is None:
        raise ValueError(f"--arithmetic: nothing says which classes {config.checkpoint} draws: add --data")
    data = load_data(given, workers=setup.workers, use=ARITHMETIC)
    if (data.size, data.channels) != (gan.size, gan.channels):
        raise ValueError(
            f"--data {given.source}: has images of {data.size}x{data.size}x{data.channels}, "
            f"this generator draws {gan.size}x{gan.size}x{gan.channels}; name the data that it was trained on"
        )
    classifier, data = choose_classifier(config.model, data, setup, given=given.source, foreign=config)
    return data, classifier


@torch.no_grad()
def _probabilities(classifier: Classifier, images: Tensor, batch_size: int) -> Tensor:
    device = classifier.device
    return torch.cat(
        [classifier.logits(some.to(device)).float().softmax(dim=1) for some in images.split(batch_size)]
    ).cpu()


def _table(names: list[str], counts: list[int], seen: Tensor, classes: tuple[str, ...]) -> TablePanel:
    rows = []
    for name, count, probabilities in zip(names, [*counts, 0], seen, strict=True):
        best = int(probabilities.argmax())
        rows.append((name, f"{count:,}" if count else "", classes[best], format_rate(float(probabilities[best]))))
    return TablePanel(
        title="What the classifier sees",
        columns=("latents", "samples averaged", "seen as", "probability"),
        rows=tuple(rows),
    )
