"""The real images that a generator is compared with, each seen once: training images, and held-out ones as control."""

from functools import cached_property

from advgan.data import Data, ImageSet
from advgan.machine.processes import Processes
from advgan.machine.room import Room
from advgan.ranges import to_unit
from evaluation.features.defaults import NUM_REAL
from evaluation.features.extractor_findings import batch_findings, judge_findings
from evaluation.features.features import Extractor, Features
from evaluation.features.seen import Sample
from evaluation.inputs import Source
from evaluation.inputs.stored import Found, stored_source
from evaluation.record.findings import Finding
from evaluation.seeing.feature_cache import FeatureCache
from evaluation.seeing.one_pass import Advance, look

TRIED = 24
"""Real images by which a user's own extractor is tried."""


class Reference:
    """Training and held-out images of some data through one extractor; or one set of images, without held-out ones.

    Features are made when they are first asked for, or before that by all processes of torchrun together (`see`).
    `cache` keeps them for other runs.
    """

    def __init__(
        self,
        data: Data | None,
        extractor: Extractor,
        *,
        seed: int = 0,
        batch_size: int | Room = 256,
        num_real: int = NUM_REAL,
        cache: FeatureCache | None = None,
        source: Source | None = None,
    ) -> None:
        assert data is not None or source is not None
        self.known_data, self.extractor, self.seed, self.room = data, extractor, seed, Room.of(batch_size)
        self._num_real, self._cache, self._given = num_real, cache, source

    @property
    def batch_size(self) -> int:
        """Images that are looked at together; fewer, once memory ran out."""
        return self.room.size

    @property
    def data(self) -> Data:
        """The data, where there are any beside the images."""
        assert self.known_data is not None
        return self.known_data

    @property
    def name(self) -> str:
        """The real images with the digest of their content."""
        source = self.source
        return f"{source.name} {source.digest}"

    @cached_property
    def source(self) -> Source:
        """Real images: those of `source`, else the training images, or a seeded draw of them."""
        return self._given or self._drawn(self.data.train, f"{self.data.name}/train")

    @cached_property
    def held_out_source(self) -> Source | None:
        """Held-out images, as many as real ones at most; None where the real images are not the training ones."""
        if self._given is not None or not len(self.held_out_images):
            return None
        return self._drawn(self.held_out_images, f"{self.data.name}/held-out")

    @cached_property
    def held_out_images(self) -> ImageSet:
        """Everything that no generator of these data was trained on."""
        return self.data.held_out

    @cached_property
    def sample(self) -> Sample:
        """The real images as they were seen."""
        return self._look(self.source)[0]

    @cached_property
    def held_out(self) -> Sample | None:
        """Held-out images as they were seen, where there are any."""
        return self._look(self.held_out_source)[0] if self.held_out_source else None

    @property
    def real(self) -> Features:
        """Features of the real images."""
        return self.sample.features

    @property
    def counts_modes(self) -> bool:
        """Whether these are points or stacked digits, of which the modes are known, and the extractor sees them."""
        data = self.known_data
        if data is None:
            return False
        return data.train.are_points or (
            data.parts is not None and self.real.probabilities.shape[1] == data.num_classes
        )

    @cached_property
    def extractor_findings(self) -> list[Finding]:
        """What is to be said of the extractor itself; a user's own is tried on some of the real images for that."""
        found, images = judge_findings(self.extractor), self.sample.images
        if images is None or not self.extractor.is_foreign:
            return found
        return [*found, *batch_findings(self.extractor, to_unit(images[:TRIED]))]

    def see(self, processes: Processes, advance: Advance = lambda count: None) -> None:
        """Look at all of them now, with every process of torchrun; the first one keeps what was seen."""
        real = self._look(self.source, processes, advance)
        held_out = self._look(self.held_out_source, processes, advance) if self.held_out_source else []
        if processes.is_first:
            self.__dict__.update(sample=real[0], held_out=held_out[0] if held_out else None)

    def _drawn(self, images: ImageSet, name: str) -> Source:
        found = Found(images, labelled=images.num_classes > 0, named=True)
        return stored_source(found, name=name, num_samples=self._num_real, seed=self.seed)

    def _look(
        self, source: Source, processes: Processes | None = None, advance: Advance = lambda count: None
    ) -> list[Sample]:
        return look(
            source,
            [self.extractor],
            batch_size=self.batch_size,
            processes=processes,
            cache=self._cache,
            advance=advance,
        )
