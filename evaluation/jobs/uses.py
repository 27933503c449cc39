"""Whether each verb needs class labels of its images, and what for."""

from advgan.config import GanNetworks, GanTraining
from advgan.data import IMAGES, Use

FIT = Use(why_classes="advgan fit learns to tell classes apart")
ATTACK = Use(why_classes="advgan attack counts the images that leave their class", alone="tested")
AUGMENT = Use(why_classes="advgan augment writes a folder of images for each class")
DEMO = Use(why_classes="advgan demo fits and attacks a classifier")
ARITHMETIC = Use(why_classes="--arithmetic adds up the latents of classes")


def use_of_training(networks: GanNetworks, training: GanTraining) -> Use:
    """A GAN asks for classes only where a network or a loss of it does."""
    if networks.conditional:
        return Use(
            why_classes="networks.conditional gives both networks the class (--unconditional gives it to neither)"
        )
    if networks.discriminator_labels == "classes":
        return Use(why_classes="networks.discriminator_labels classes teaches the discriminator to tell classes apart")
    if training.labelled:
        return Use(why_classes=f"training.labelled {training.labelled} images of all classes are looked for")
    return IMAGES
