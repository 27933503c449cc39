"""Baselines of a GAN: a variational autoencoder in small steps, a Gaussian mixture by EM.

Everything random is a function of (seed, step), so a resumed autoencoder equals an uninterrupted one bit for bit.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam

from advgan.config.baseline import Baseline
from advgan.data import ImageSet, batches
from advgan.learning.optimizers import load_moments
from advgan.models.gans.mixture import Mixture, MixtureGenerator
from advgan.models.gans.vae import Vae
from advgan.ranges import to_signed, to_unit
from attacks.random import normal, permutation, seeded

CODES = 1
"""Stream of the noise of codes; sampling uses stream 0."""
INITIALIZATION = -1
MOST = 20_000
"""Images that a mixture is fitted to, drawn by the seed: with more, EM takes longer and finds much the same."""


@dataclass
class VaeState:
    """All that changes in training, which is all that a checkpoint holds."""

    network: Vae
    optimizer: Adam
    step: int = 0

    def to_tree(self) -> dict[str, Any]:
        """Nest everything as dicts of tensors and plain values, not copied."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict()["state"],
            "step": self.step,
        }

    def load(self, tree: Mapping[str, Any]) -> None:
        """Take over what `to_tree` gave. The learning rate stays that of this state: it is configuration."""
        self.network.load_state_dict(tree["network"])
        load_moments(self.optimizer, tree["optimizer"])
        self.step = tree["step"]


class VaeStep(NamedTuple):
    """One step. Tensors are detached scalars on the device, means over the batch in nats an image."""

    step: int
    images_seen: int
    bound: Tensor
    """The negative evidence lower bound, which is minimised: the sum of the other two."""
    reconstruction: Tensor
    divergence: Tensor


def start_vae(baseline: Baseline, *, size: int, channels: int, device: torch.device | str = "cpu") -> VaeState:
    """Build the state before the first step; the weights are a function of the configuration, on every device."""
    with seeded(baseline.seed, stream=INITIALIZATION):
        network = Vae(baseline, size=size, channels=channels).to(device)
    return VaeState(network, Adam(network.parameters(), baseline.learning_rate, fused=True))


def train_vae(state: VaeState, data: ImageSet, baseline: Baseline) -> Iterator[VaeStep]:
    """Train in place until `baseline.steps`, yielding after each step (Kingma and Welling, 2013)."""
    network, rows, device = state.network, baseline.batch_size, next(state.network.parameters()).device
    real_batches = batches(data, rows, seed=baseline.seed, start=state.step, device=device)

    while state.step < baseline.steps:
        network.train()
        real = to_signed(to_unit(next(real_batches).images))
        numbers = torch.arange(state.step * rows, (state.step + 1) * rows, device=device)
        noise = normal(baseline.seed, numbers, (baseline.latent_dim,), stream=CODES)
        reconstruction, divergence = (part.mean() for part in network.bound(real, noise))
        bound = reconstruction + divergence
        state.optimizer.zero_grad()
        bound.backward()
        state.optimizer.step()

        state.step += 1
        yield VaeStep(state.step, state.step * rows, bound.detach(), reconstruction.detach(), divergence.detach())


class MixtureStep(NamedTuple):
    """One iteration of EM, with the mixture after it."""

    step: int
    log_likelihood: float
    """Lower bound of the mean log-likelihood of the coordinates that are modelled, in nats an image."""
    generator: MixtureGenerator
    is_last: bool


def fit_mixture(data: ImageSet, baseline: Baseline) -> Iterator[MixtureStep]:
    """Fit a Gaussian mixture to the principal components of the pixels, yielding after each iteration of EM.

    Ends where the likelihood has settled, or after `baseline.steps`; a function of data and configuration, computed on
    the CPU. Raises ValueError where there are fewer images than Gaussians.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if len(data) < baseline.components:
        raise ValueError(
            f"baseline.components {baseline.components} exceeds the {len(data):,} images of {data.name or 'the set'}: "
            f"use {len(data)} or fewer"
        )
    chosen = permutation(baseline.seed, len(data))[:MOST].sort().values
    pixels = to_signed(data.unit(chosen)).double()
    centre, basis, places = _principal(pixels.flatten(1), baseline.latent_dim)
    model = GaussianMixture(
        baseline.components, covariance_type="full", max_iter=1, warm_start=True, random_state=baseline.seed
    )
    for step in range(1, baseline.steps + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # one iteration at a time never settles
            model.fit(places)
        is_last = step == baseline.steps or bool(model.converged_)
        weights, means = torch.from_numpy(model.weights_), torch.from_numpy(model.means_)
        factors = torch.linalg.cholesky(torch.from_numpy(np.asarray(model.covariances_)))
        shape = pixels.shape[1:]
        parts = (weights, means, factors, centre.reshape(shape), basis.reshape(-1, *shape))
        generator = MixtureGenerator(Mixture(*(part.float() for part in parts)))
        yield MixtureStep(step, float(model.lower_bound_), generator, is_last)
        if is_last:
            return


def _principal(rows: Tensor, most: int) -> tuple[Tensor, Tensor, "np.ndarray[Any, Any]"]:
    """Mean (P,), principal directions (L, P) and coordinates (N, L) of rows (N, P); directions without spread go."""
    from sklearn.decomposition import PCA

    found = PCA(min(most, *rows.shape), svd_solver="covariance_eigh" if rows.shape[1] <= 4096 else "full")
    places = found.fit_transform(rows.numpy())
    kept = max(1, int((found.explained_variance_ > 1e-12).sum()))
    return torch.from_numpy(found.mean_), torch.from_numpy(found.components_[:kept]), places[:, :kept]
