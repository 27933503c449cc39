"""What a step costs, and why the host waits where it does.

A change that makes a step dearer changes this table and says why; one that makes it cheaper changes it too, so that it
stays so. `python -m measured` prints the rows as they are (tests/pretend/README.md). The network of the attacks is two
operators of a step, one of each pass; of a training the whole network is counted.
"""

from collections.abc import Mapping

from measured.costs import Costs

REASONS: Mapping[str, str] = {
    "attacks/queue.py:drive": "who is done decides which images the next pass sees: the sizes of its tensors",
    "attacks/black_box/one_pixel.py:_three": "the bounds of a draw are copied there: little beside a pass",
    "advgan/classifier/training.py:train": "once an epoch: its order is drawn on the CPU, for every device",
}
"""By place: why the host has to wait there in a step."""

TABLE: Mapping[str, Costs] = {
    # Attacks
    "pgd": Costs({"attacks/queue.py:drive": 1.0}, once=1, operators=27.0),
    "pgd-l2": Costs({"attacks/queue.py:drive": 1.0}, once=1, operators=57.0),
    "mifgsm": Costs({}, once=1, operators=36.0),
    "apgd-ce": Costs({"attacks/queue.py:drive": 1.0}, once=3, operators=52.125),
    "apgd-t": Costs({"attacks/queue.py:drive": 2.0}, once=5, operators=144.25),
    "fmn": Costs({"attacks/queue.py:drive": 1.0}, once=4, operators=154.0),
    "ddn": Costs({"attacks/queue.py:drive": 1.0}, once=3, operators=86.0),
    "fab-t": Costs({"attacks/queue.py:drive": 9.0}, once=20, operators=1008.0),
    "square": Costs({"attacks/queue.py:drive": 1.0}, once=3, operators=42.0),
    "sigma-zero": Costs({"attacks/queue.py:drive": 1.0}, once=3, operators=105.0),
    "one-pixel": Costs(
        {"attacks/black_box/one_pixel.py:_three": 10.0, "attacks/queue.py:drive": 10.0}, once=1, operators=1270.0
    ),
    # Classifiers
    "fit": Costs({"advgan/classifier/training.py:train": 0.25}, once=10, operators=32.0),
    "fit-pgd": Costs({"advgan/classifier/training.py:train": 0.25}, once=11, operators=37.0),
    "fit-pgd, direct": Costs({"advgan/classifier/training.py:train": 0.25}, once=10, operators=186.0),
    "fit-fgsm": Costs({"advgan/classifier/training.py:train": 0.25}, once=11, operators=37.0),
    # GANs
    "dcgan": Costs({}, once=38, operators=116.34375),
    "dcgan, recorded": Costs({}, once=40, operators=13.34375),
    "sngan": Costs({}, once=109, operators=700.0),
    "wgan-gp": Costs({}, once=20, operators=377.65625),
    "digits": Costs({}, once=21, operators=304.0625),
    "r3gan": Costs({}, once=57, operators=878.5),
    "biggan": Costs({}, once=87, operators=564.5),
    # Evaluation
    "jacobian, a class": Costs({}, once=4, operators=2.0),
}
