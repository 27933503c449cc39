"""The settings of `advgan eval`."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from advgan.config import Place, ReadData, Section
from advgan.config.mistakes import nearest
from evaluation.features.defaults import NUM_REAL, PROTOCOL
from evaluation.jobs.sources import known_data


class EvalConfig(Section):
    """What `advgan eval` scores, and against which images."""

    subjects: Annotated[tuple[str, ...], Place.DATA] = ()
    """Generators and sets of images, each in one of the forms of `evaluation.inputs`."""
    data: ReadData | None = None
    """None: the data that the first generator was trained on. Size, channels and leniency also hold for subjects and
    reference that are stored."""
    reference: Annotated[str, Place.DATA] = ""
    """Images, or saved feature statistics, to compare the subjects with instead of the data's training images."""
    features: Annotated[tuple[str, ...], Place.EXTRACTOR] = ("auto",)
    """Feature extractors: `auto` (a classifier of this data), a name of EXTRACTORS, a classifier's run."""
    protocol: str = PROTOCOL
    """Protocol (resizing, weights, sample statistics) of Inception features, by the name of the tool it follows."""
    metrics: tuple[str, ...] = ()
    """Names or groups of METRICS; empty: all but the costly ones."""
    compare: bool = False
    """Say which differences between the subjects are significant."""
    num_samples: int = Field(default=2000, ge=10)
    """Generated images; of a stored set as many are drawn, or all."""
    num_real: int = Field(default=NUM_REAL, ge=10)
    """Real images, at most."""
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = 256
    """`auto` begins large and halves when memory runs out."""
    seed: int = Field(default=0, ge=0)

    def idle(self) -> dict[str, str]:
        if not any(name.partition("@")[0] == "inception" for name in self.features):
            return {"protocol": "it says how Inception sees images; add --features inception"}
        return {}

    @field_validator("metrics")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from evaluation.metric_words import wanted_metrics

        wanted_metrics(names)
        return names

    @field_validator("protocol")
    @classmethod
    def _known_protocol(cls, name: str) -> str:
        from evaluation.features.protocols import PROTOCOLS

        if name not in PROTOCOLS:
            raise ValueError(f"no protocol {name!r} ({nearest(name, tuple(PROTOCOLS))})")
        return name

    @model_validator(mode="after")
    def _two_to_compare(self) -> "EvalConfig":
        if self.compare and len(self.subjects) == 1:
            raise ValueError(f"compare needs two subjects, here is one: {self.subjects[0]}")
        return self

    def complete(self) -> "EvalConfig":
        """The same with the data that the subjects were trained on, where it names none and no reference.

        Without data where nothing says which those are.
        """
        if self.reference:
            return self
        found = known_data(self.data, *self.subjects)
        return self.model_copy(update={"data": found}) if found else self
