"""The settings of `advgan export`."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from advgan.config import Place, Section


class ExportConfig(Section):
    """The settings of an export."""

    checkpoint: Annotated[str | None, Place.RUN] = None
    format: Literal["safetensors", "pt2", "onnx", "fidelity"] = "safetensors"
    push_to_hub: str | None = None
    """ORG/NAME on the Hugging Face hub; None: nothing leaves this machine."""
    private: bool = False
    """Make a new repository of the hub private."""
    seed: int = Field(default=0, ge=0)

    def idle(self) -> dict[str, str]:
        return {} if self.push_to_hub else {"private": "nothing is pushed; add --push-to-hub ORG/NAME"}

    @field_validator("push_to_hub")
    @classmethod
    def _is_a_repository(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise ValueError(f"push_to_hub {name!r} is no repository: write ORG/NAME")
        return name
