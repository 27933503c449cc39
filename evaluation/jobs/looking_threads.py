"""The number of CPU threads for an evaluation, measured by one batch of each source and extractor."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

from advgan.config.foreign import Foreign
from advgan.machine.processes import Processes
from advgan.ranges import to_unit
from advgan.sampling.drawing import sample
from advgan.sampling.stored import TrainedGan
from evaluation.features.features import Extractor
from evaluation.inputs import Source
from evaluation.jobs.threads import threads_for


def looking_threads(
    sources: Sequence[Source],
    extractors: Sequence[Extractor],
    *,
    batch_size: int,
    device: torch.device,
    processes: Processes,
) -> AbstractContextManager[None]:
    """Compute with the threads that suit an evaluation. A user's own objects are not tried, since they may count."""
    known = [source for source in sources if source.stored or source.gan]
    ours = [extractor for extractor in extractors if not extractor.is_foreign]
    sizes = [[source.digest, source.count, source.size, source.channels] for source in known]
    return threads_for(
        lambda: lambda: [_see(source, ours, batch_size) for source in known],
        about={"work": "eval", "sources": sizes, "seen by": [each.digest for each in ours], "batch": batch_size},
        device=device,
        processes=processes,
    )


def drawing_threads(
    gan: TrainedGan, count: int, batch_size: int, *, device: torch.device
) -> AbstractContextManager[None]:
    """Compute with the threads that suit a batch of generated images; a user's own generator is not tried."""
    if isinstance(gan.networks, Foreign):
        return nullcontext()
    numbers = min(count, batch_size)
    return threads_for(
        lambda: lambda: sample(gan.generator, numbers, batch_size=batch_size),
        about={"work": "sample", "networks": gan.networks.model_dump(mode="json"), "size": gan.size, "batch": numbers},
        device=device,
    )


def _see(source: Source, extractors: Sequence[Extractor], batch_size: int) -> list[torch.Tensor]:
    """Draw a batch, see it, and compare it with as many as there are, as distances to neighbours do."""
    images = to_unit(source.images(torch.arange(min(batch_size, source.count))))
    features = [extractor.function(images)[0] for extractor in extractors]
    return [each @ each.new_zeros(each.shape[1], source.count) for each in features]
