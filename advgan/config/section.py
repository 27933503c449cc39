"""The base of every configuration section, and the number types that people write as fractions."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

HIGHEST_SEED = 2**63 - 1
"""Of more bits the hash that draws all noise takes no notice: 2^64 would be 0 again."""
HIGHEST = 2**31 - 1
"""Of every other whole number: more steps, images or layers than any run has."""


class Section(BaseModel):
    """A frozen group of options; an unknown key is an error, not a silent no-op."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _is_within_reach(cls, value: Any, about: ValidationInfo) -> Any:
        """Refuse whole numbers that only overflow, or mean another number, further on."""
        highest = HIGHEST_SEED if str(about.field_name).endswith("seed") else HIGHEST
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, int) and abs(each) > highest:
                raise ValueError(f"must be at most {highest:,}, not {str(each)[:24]}")
        return value

    def idle(self) -> dict[str, str]:
        """The keys that have no effect given the other values, each with the reason and the way out."""
        return {}

    def texts(self) -> Iterator[str]:
        """Every text among the values, those in lists and in sections below too."""
        waiting: list[Any] = [self]
        while waiting:
            value = waiting.pop()
            if isinstance(value, str):
                yield value
            elif isinstance(value, (list, tuple)):
                waiting += value
            elif isinstance(value, Section):
                waiting += (getattr(value, name) for name in type(value).model_fields)


def idle_keys(section: Section) -> dict[str, str]:
    """The dotted keys that are idle in a section and in those below it."""
    found = section.idle()
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Section):
            found |= {f"{name}.{key}": reason for key, reason in idle_keys(value).items()}
    return found


def _fraction(value: Any) -> Any:
    """Read "8/255" as a number; leave everything else to pydantic."""
    if isinstance(value, str) and "/" in value:
        try:
            return float(Fraction(value.replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            raise ValueError(f"not a fraction: {value!r} (write 8/255 or 0.03)") from None
    return value


Number = Annotated[float, BeforeValidator(_fraction)]
Budget = Annotated[float, BeforeValidator(_fraction), Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, BeforeValidator(_fraction), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_fraction), Field(ge=0, le=1)]
