"""Minibatch statistics as features of a discriminator, against mode collapse."""

import torch
from torch import Tensor, nn

from advgan.config import GanNetworks

KERNELS, KERNEL_DIM = 50, 5
"""B and the size of a row of M_b in the paper's code; below 100 features B is half their number."""


class MinibatchDiscrimination(nn.Module):
    """Append to features (N, D) how near each sample is to the others of its batch (Salimans et al., 2016).

    o_b(x_i) = sum over j != i of exp(-|M_ib - M_jb|_1) with M = T x, for b = 1..B: (N, D + B). Of identical samples
    each o_b is N - 1, of far ones 0. Meant for batches of only real or only generated images.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.kernels = min(KERNELS, max(1, num_features // 2))
        self.project = nn.Linear(num_features, self.kernels * KERNEL_DIM, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        projected = self.project(features).view(len(features), self.kernels, KERNEL_DIM)
        distances = (projected[:, None] - projected[None]).abs().sum(dim=3)
        nearness = torch.exp(-distances).sum(dim=1) - 1
        return torch.cat([features, nearness], dim=1)


class MinibatchDeviation(nn.Module):
    """Append a map with the mean standard deviation over the batch: (N, C, H, W) to (N, C + 1, H, W).

    The deviation is taken for each feature at each place over the whole batch, then averaged to one number (Karras et
    al., 2018, section 3).
    """

    def forward(self, maps: Tensor) -> Tensor:
        deviation = torch.sqrt(maps.var(dim=0, correction=0) + 1e-8).mean()
        return torch.cat([maps, deviation.expand(len(maps), 1, *maps.shape[2:])], dim=1)


class MinibatchFeatures(nn.Module):
    """Flatten a discriminator's last maps (N, C, H, W), and append the configured minibatch statistics: (N, D)."""

    def __init__(self, maps: tuple[int, int, int], networks: GanNetworks) -> None:
        super().__init__()
        channels, height, width = maps
        self.deviation = MinibatchDeviation() if networks.minibatch == "deviation" else nn.Identity()
        flat = (channels + (networks.minibatch == "deviation")) * height * width
        self.discrimination = MinibatchDiscrimination(flat) if networks.minibatch == "discrimination" else nn.Identity()
        self.num_features = flat
        if isinstance(self.discrimination, MinibatchDiscrimination):
            self.num_features += self.discrimination.kernels

    def forward(self, maps: Tensor) -> Tensor:
        features: Tensor = self.discrimination(self.deviation(maps).flatten(1))
        return features
