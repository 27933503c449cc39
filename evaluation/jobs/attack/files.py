"""The adversarial images of a run on disk, in the formats that a user asks for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from advgan.storage.contents import add_contents
from evaluation.jobs.attack.config import Format
from evaluation.jobs.setup import log
from evaluation.jobs.suites import in_file_names
from evaluation.under_attack.adversarial_sets import outcome_batches, save_adversarial_set
from evaluation.under_attack.outcomes import Outcome

ADVERSARIAL = "adversarial"
"""The folder of the images in that of a run."""
_ENDINGS: dict[Format, str] = {
    "png": "",
    "npz": ".npz",
    "torchattacks": ".torchattacks.pt",
    "autoattack": ".autoattack.pth",
}


def refuse_earlier_images(folder: Path) -> None:
    """Raise ValueError where a new run would keep the images of an earlier one as its own."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds images of an earlier run: delete them, or choose another folder with --out")


def save_images(
    folder: Path, forms: Sequence[Format], images: Tensor, outcomes: Mapping[str, Outcome], *, about: Mapping[str, Any]
) -> None:
    """Write the images of each setting in each format; one that a resumed run has written before stays."""
    for setting, outcome in outcomes.items():
        for form in forms:
            path = folder / f"{in_file_names(setting)}{_ENDINGS[form]}"
            if not path.exists():
                batches = outcome_batches(images, outcome)
                save_adversarial_set(path, batches, {"setting": setting, **about}, form=form)
                add_contents(folder, [path] if path.is_file() else [])
    if forms:
        log.info("adversarial images: %s", folder)
