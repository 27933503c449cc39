"""What a step costs, and why the host waits where it does.

A change that makes a step dearer changes this table and says why; one that makes it cheaper changes it too, so that it
stays so. `python -m measured` prints the rows as they are (tests/pretend/README.md). The network of the attacks is two
operators of a step, one of each pass; of a training the whole network is counted.
"""

from collections.abc import Mapping

from measured.costs import Costs

REASONS: Mapping[str, str] = {
    "attacks/queue.py:drive": "who is done decides which images the next pass sees: the sizes of its tensors",
    "attacks/one_pixel.py:_three": "to be drawn without the host",
    "advgan/classifier_training.py:train": "once an epoch: its order is drawn on the CPU, for every device",
}
"""By place: why the host has to wait there in a step."""

TABLE: Mapping[str, Costs] = {
    # Attacks
    "pgd": Costs({"attacks/queue.py:drive": 1.0}, once=1, operators=81),
    "pgd-l2": Costs({"attacks/queue.py:drive": 1.0}, once=1, operators=95),
    "mifgsm": Costs({}, once=1, operators=59),
    "apgd-ce": Costs({"attacks/queue.py:drive": 1.0}, once=3, operators=121),
    "apgd-t": Costs({"attacks/queue.py:drive": 2.0}, once=5, operators=262),
    "fmn": Costs({"attacks/queue.py:drive": 1.0}, once=4, operators=172),
    "ddn": Costs({"attacks/queue.py:drive": 1.0}, once=3, operators=115),
    "fab-t": Costs({"attacks/queue.py:drive": 9.0}, once=20, operators=2277),
    "square": Costs({"attacks/queue.py:drive": 1.0}, once=3, operators=114),
    "sigma-zero": Costs({"attacks/queue.py:drive": 1.0}, once=3, operators=128),
    "one-pixel": Costs({"attacks/one_pixel.py:_three": 10.0, "attacks/queue.py:drive": 10.0}, once=1, operators=1390),
    # Classifiers
    "fit": Costs({"advgan/classifier_training.py:train": 0.25}, once=10, operators=32),
    "fit-pgd": Costs({"advgan/classifier_training.py:train": 0.25}, once=10, operators=291),
    "fit-fgsm": Costs({"advgan/classifier_training.py:train": 0.25}, once=10, operators=124),
    # GANs
    "dcgan": Costs({}, once=38, operators=119.34375),
    "sngan": Costs({}, once=109, operators=1335),
    "wgan-gp": Costs({}, once=20, operators=382.65625),
    "digits": Costs({}, once=21, operators=306.0625),
    "r3gan": Costs({}, once=57, operators=809.5),
    "biggan": Costs({}, once=87, operators=948.5),
    # Evaluation
    "jacobian, a class": Costs({}, once=4, operators=3),
}
