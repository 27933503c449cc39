"""Accuracy of a semi-supervised GAN's classifier: the discriminator's class logits on unseen images."""

from torch import Tensor

from evaluation.statistics.intervals import Estimate, rate


def class_accuracy(class_logits: Tensor, labels: Tensor) -> Estimate:
    """Share of images whose largest of K class logits (N, K) is that of their label (N,), with its Wilson interval.

    The K+1st class, fake, has the constant logit 0 (Salimans et al., 2016) and takes no part: the images are real.
    """
    if class_logits.ndim != 2 or labels.shape != class_logits.shape[:1]:
        raise ValueError(f"class logits {tuple(class_logits.shape)} do not go with labels {tuple(labels.shape)}")
    return rate(class_logits.argmax(dim=1) == labels)
