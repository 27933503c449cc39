"""Transfer attacks: iterated FGSM whose images are to fool networks other than the one they are made on.

One function with an option for each technique, and the names of their combinations in the literature.
"""

from functools import partial

import torch
from torch import Tensor

from attacks.classifier import Classifier
from attacks.gradient.ascent import unit_mean
from attacks.gradient.transfer_inputs import gaussian_smoothing, resize_and_pad
from attacks.norms import LINF, Box, Budget, Norm, finite, named_norm, per_sample
from attacks.samples import Samples, budgets

TRANSFER_NORMS = ("linf", "l2", "l1")
_STRIDE = 2**20  # streams reserved for a step: more than the draws that it makes


def transfer(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    *,
    eps: Budget,
    norm: Norm | str = LINF,
    steps: int = 10,
    step_size: Budget | None = None,
    momentum: float = 1.0,
    nesterov: bool = False,
    diversity: float = 0.0,
    smallest: float = 0.9,
    kernel: int = 1,
    scales: int = 1,
    neighbours: int = 0,
    radius: float = 1.5,
    targeted: bool = False,
    batch_size: int | None = None,
    seed: int = 0,
    indices: Tensor | None = None,
) -> Tensor:
    """Iterate FGSM with momentum (Dong et al., 2018) and techniques that make its images transfer to other networks.

    - `nesterov`: take the gradient at the point that momentum leads to next (NI: Lin et al., 2020).
    - `diversity`: with this probability resize an image to between `smallest` and 1 times its side and pad it, with new
      draws for each gradient (DI: Xie et al., 2019).
    - `kernel`: smooth the gradient with a Gaussian kernel of this odd side; 1 is none (TI: Dong et al., 2019).
    - `scales`: average the gradient over copies of the image divided by 1, 2, 4, ..., that many (SI: Lin et al., 2020).
    - `neighbours`: add the gradient variance of the step before: the mean gradient at that many random points within
      `radius` * eps, clipped to [0, 1], minus the gradient at the iterate (VMI: Wang & He, 2021).

    Gradients are those of the log-odds, which have the direction of the cross-entropy's. Averages over copies or
    neighbours therefore weigh each by its gradient in logits; gradients of the cross-entropy of confident copies would
    have almost no weight, and where all round to 0 in float32 nothing would move. The step size is eps / steps by
    default. All steps are taken and the last iterate is returned: one that only just fools this network seldom fools
    another. A step costs scales * (1 + neighbours) passes, forward and backward. `norm` is linf, l2 or l1. All draws
    depend on (seed, index, step) alone.
    """
    norm = named_norm(norm)
    if norm.name not in TRANSFER_NORMS:
        raise ValueError(f"transfer has no {norm.name} form: choose from {', '.join(TRANSFER_NORMS)}")
    _check(steps=steps, scales=scales, neighbours=neighbours, kernel=kernel)
    _check_numbers(momentum=momentum, diversity=diversity, smallest=smallest, radius=radius)
    whole = Samples.of(images, labels, eps=eps, norm=norm, targeted=targeted, indices=indices)
    images = whole.images
    lengths = whole.eps / steps if step_size is None else budgets(step_size, images, norm, option="step_size")
    smoothing = gaussian_smoothing(whole.images, kernel) if kernel > 1 else None
    result = whole.images.clone()

    def gradient(samples: Samples, current: Tensor, stream: int) -> Tensor:
        """The gradient of the log-odds, averaged over the scaled copies, each resized by its own draws."""
        slopes = []
        for copy in range(scales):
            inputs = current / 2**copy if copy else current
            view = (
                resize_and_pad(
                    current,
                    probability=diversity,
                    smallest=smallest,
                    seed=seed,
                    indices=samples.indices,
                    stream=stream + copy,
                )
                if diversity
                else None
            )
            inputs = view.apply(inputs) if view else inputs
            found = finite(classifier.gradient(inputs, samples.objective, rows=samples.rows).gradient)
            found = view.pull_back(found) if view else found
            slopes.append(found / (2**copy * scales) if scales > 1 else found)
        total = slopes[0]
        for slope in slopes[1:]:
            total = total + slope
        return finite(total) if view or scales > 1 else total

    with classifier.frozen():
        for samples in whole.split(batch_size):
            current = samples.images
            climb, variance = torch.zeros_like(current), torch.zeros_like(current)
            length, box = per_sample(lengths[samples.rows], current), Box.of(norm, samples.images, samples.eps)
            whole_size = per_sample(norm.size(torch.ones_like(climb)), current) if nesterov else None
            for step in range(steps):
                stream = step * _STRIDE

                # Gradient: here, or where momentum leads.
                ahead = current
                if whole_size is not None:
                    ahead = current + momentum * length * climb / whole_size
                slope = gradient(samples, ahead, stream)

                # Variance: from the neighbourhood, for the next step.
                corrected = finite(slope + variance) if neighbours > 0 else slope
                if neighbours > 0 and step + 1 < steps:
                    mean = torch.zeros_like(current)
                    for number in range(1, neighbours + 1):
                        near = norm.random_start(
                            ahead.clamp(0, 1),
                            radius * samples.eps,
                            seed=seed,
                            indices=samples.indices,
                            stream=stream + _STRIDE // 2 + number,
                        )
                        mean = mean + gradient(samples, near, stream + number * scales) / neighbours
                    variance = finite(mean - slope)

                # Step: along the smoothed sum, then back into ball and bounds.
                smooth = finite(smoothing.apply(corrected)) if smoothing else corrected
                climb = momentum * climb + unit_mean(smooth)
                if box is None:
                    move = norm.step(climb, current, length)
                    current = norm.project(current + move, samples.images, samples.eps)
                else:
                    current = box.step(climb, current, length)
            result[samples.rows] = current
    return result


nifgsm = partial(transfer, nesterov=True)
"""NI-FGSM (Lin et al., 2020)."""
difgsm = partial(transfer, diversity=0.5)
"""M-DI-FGSM (Xie et al., 2019)."""
tifgsm = partial(transfer, kernel=15)
"""TI-MI-FGSM (Dong et al., 2019)."""
sifgsm = partial(transfer, nesterov=True, scales=5)
"""SI-NI-FGSM (Lin et al., 2020), with its five copies."""
vmifgsm = partial(transfer, neighbours=5)
"""VMI-FGSM (Wang & He, 2021), with five neighbours; the paper has up to twenty."""
combined = partial(transfer, nesterov=True, scales=5, diversity=0.5, kernel=15)
"""SI-NI-DI-TI-FGSM: all techniques but the neighbours of VMI."""


def _check(*, steps: int, scales: int, neighbours: int, kernel: int) -> None:
    for option, value, least in (("steps", steps, 1), ("scales", scales, 1), ("neighbours", neighbours, 0)):
        if value < least:
            raise ValueError(f"{option} must be {least} or more; got {value}")
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be an odd side, 1 for none; got {kernel}")


def _check_numbers(*, momentum: float, diversity: float, smallest: float, radius: float) -> None:
    for option, value in (("momentum", momentum), ("radius", radius)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"{option} must be finite and 0 or above; got {value}")
    if not 0 <= diversity <= 1:
        raise ValueError(f"diversity is a probability, from 0 to 1; got {diversity}")
    if not 0 < smallest <= 1:
        raise ValueError(f"smallest is a share of the side, above 0 and at most 1; got {smallest}")
