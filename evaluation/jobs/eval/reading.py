"""Open what is to be scored, and what it is held against."""

from functools import partial

from advgan.config import DataConfig
from advgan.data import ANY_IMAGES, Data, load_data
from evaluation.inputs import FORMS, Source, Statistics, open_source
from evaluation.jobs.eval.config import EvalConfig
from evaluation.jobs.setup import Setup
from evaluation.scoring import check_same_form
from evaluation.statistics_scores import check_enough


def read_subjects(config: EvalConfig, setup: Setup) -> tuple[list[Source], Data | None, Source | Statistics | None]:
    """The subjects, the data, and the reference where it is not the data's training images."""
    if not config.subjects:
        raise ValueError(f"nothing to score: name {FORMS} (advgan ls runs lists runs)")
    opened = partial(open_source, seed=config.seed, device=setup.torch_device(), workers=setup.workers)
    wanted, reading = config.complete().data, config.data or DataConfig()
    named = wanted is not None and wanted.names_source
    data = load_data(wanted, workers=setup.workers, use=ANY_IMAGES) if wanted and named else None
    real = None
    if config.reference:
        real = opened(reading.reading(config.reference), num_samples=config.num_real, data=data)
    if isinstance(real, Statistics):
        check_enough(real, features=config.features, metrics=config.metrics, compare=config.compare)
    sources = []
    for subject in config.subjects:
        like = real if isinstance(real, Source) else None
        found = opened(reading.reading(subject), num_samples=config.num_samples, data=data, like=like)
        if isinstance(found, Statistics):
            raise ValueError(f"{subject} holds statistics, which are scored against: give them with --reference")
        if isinstance(real, Source):
            check_same_form(found, real)
        elif data is not None:
            _check_asked(found, data)
        sources.append(found)
    if data is None and real is None:
        raise ValueError(
            f"nothing says which images {', '.join(config.subjects)} should be held against: give --data or --reference"
        )
    return sources, data, real


def _check_asked(source: Source, data: Data) -> None:
    """Raise ValueError where a conditional discriminator would have to score images without labels."""
    if source.gan and source.gan.discriminator and source.gan.discriminator.num_classes and not data.has_classes:
        raise ValueError(
            f"{source.name} is class-conditional: its discriminator is asked about an image and its class, which the "
            f"images of {data.name} have not: give data with classes, or score the generator alone by giving them with "
            "--reference, and --features random"
        )
