"""Networks that say no names of their classes, which are then those of the data by number alone."""

from advgan.classifier.sources import class_names
from advgan.data import Data
from advgan.data.class_names import is_numbered, listed
from advgan.models.classifiers.architectures import CLASSIFIERS
from evaluation.record.findings import Finding


def unnamed_classes(source: str, data: Data) -> list[Finding]:
    """Say so, where the data's classes have names that could be in another order than the network's numbers."""
    if source in CLASSIFIERS or is_numbered(data.classes):
        return []
    names = class_names(source)
    if names and not is_numbered(names):
        return []
    return [
        Finding(
            "info",
            "Classes are matched by number alone",
            f"{source} names no classes, so that its outputs 0 to {data.num_classes - 1} were taken for "
            f"{listed(data.classes)}, in this order: that of the names of the data's folders.",
            "If the clean accuracy is near chance, the network counts its classes in another order: let it give its "
            "outputs in this one.",
            code="unnamed-classes",
        )
    ]
