"""Bounds that healthy trainings keep, and beyond which the rows and the alarms of a GAN's game both speak."""

VANISHED = 1e-6
"""Norm of the generator's whole gradient at which Adam's own epsilon, 1e-8 a weight, begins to rule the step."""

UNHEARD = 0.01
"""Weight of a fake in the gradient of the minimax loss, D(G(z)), below which it teaches nothing."""

HOPPING = 0.3
"""Share of the same latents that change class from look to look."""

SHIFTED = 0.25
"""Distance of the same latents in eval and in train mode, in mean distances of two real images; healthy runs on MNIST
had 0.12 at most, statistics that were never taken 0.3."""

FARTHER = 1.5
"""Factor by which the images of eval mode are farther from the real mean than those of train mode; 1.15 at most in
healthy runs, whose images in train mode are far themselves in the beginning."""
