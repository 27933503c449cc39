"""Thresholds of warnings on a GAN's game, shared by the findings of an evaluation and the alarms of a training."""

VANISHED = 1e-6
"""Norm of the generator's whole gradient below which Adam's epsilon of 1e-8 per weight dominates the step."""

UNHEARD = 0.01
"""D(G(z)), a fake's weight in the gradient of the minimax loss, below which it hardly trains the generator."""

HOPPING = 0.3
"""Share of fixed latents whose image changes class between two consecutive checks of a training."""

SHIFTED = 0.25
"""Distance of the same latents in eval and in train mode, in mean distances of two real images; healthy runs on MNIST
had 0.12 at most, statistics that were never taken 0.3."""

FARTHER = 1.5
"""Factor by which the images of eval mode are farther from the real mean than those of train mode; 1.15 at most in
healthy runs, whose images in train mode are far themselves in the beginning."""
