"""The normalisation layers of GANs, chosen by name."""

from torch import Tensor, nn
from torch.nn.functional import batch_norm as torch_batch_norm

from advgan.config import GanNetworks
from advgan.models.interface import Network
from advgan.models.layers.synchronised import SynchronisedBatchNorm2d
from advgan.models.layers.virtual_batch_norm import VirtualBatchNorm2d


class BatchNorm2d(nn.BatchNorm2d):
    """Torch's batch norm, whose `num_batches_tracked` training counts for all layers at once (see `counters`)."""

    def forward(self, input: Tensor) -> Tensor:
        own = self.training or self.running_mean is None
        moves = not self.training or self.track_running_stats
        mean, variance = (self.running_mean, self.running_var) if moves else (None, None)
        assert self.momentum is not None
        return torch_batch_norm(input, mean, variance, self.weight, self.bias, own, self.momentum, self.eps)


def counters(network: Network) -> list[Tensor]:
    """The `num_batches_tracked` of a network's batch norms; no computation reads them, but checkpoints hold them."""
    layers = [module for module in network.modules() if isinstance(module, BatchNorm2d)]
    return [layer.num_batches_tracked for layer in layers if layer.num_batches_tracked is not None]


def batch_norm(channels: int, networks: GanNetworks, *, affine: bool = True, running: bool = True) -> nn.Module:
    """Batch norm of maps (N, C, H, W), over all processes where the configuration says so."""
    kind = SynchronisedBatchNorm2d if networks.synchronised else BatchNorm2d
    return kind(channels, affine=affine, track_running_stats=running)


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm whose scale and shift are linear in a condition (N, D) (Dumoulin et al., 2016; de Vries et al., 2017).

    With `generator_norm` "virtual" the normalisation is virtual, and the maps begin with the reference batch. The scale
    is 1 plus a linear map, the shift a linear map without bias; both start near the plain normalisation.
    """

    def __init__(self, channels: int, *, condition_dim: int, networks: GanNetworks) -> None:
        super().__init__()
        is_virtual = networks.generator_norm == "virtual"
        self.norm = (
            VirtualBatchNorm2d(channels, affine=False) if is_virtual else batch_norm(channels, networks, affine=False)
        )
        self.scale = nn.Linear(condition_dim, channels, bias=False)
        self.shift = nn.Linear(condition_dim, channels, bias=False)
        nn.init.normal_(self.scale.weight, 0, 0.02)
        nn.init.zeros_(self.shift.weight)

    def forward(self, maps: Tensor, condition: Tensor) -> Tensor:
        scale, shift = 1 + self.scale(condition), self.shift(condition)
        normalised: Tensor = self.norm(maps)
        return normalised * scale[:, :, None, None] + shift[:, :, None, None]


class Plain(nn.Module):
    """An unconditional normalisation with the signature of a conditional one."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        normalised: Tensor = self.norm(maps)
        return normalised


def generator_norm(channels: int, networks: GanNetworks, *, condition_dim: int = 0) -> nn.Module:
    """The normalisation of a generator's maps, called with (maps, condition); `condition_dim` 0: unconditional."""
    if networks.generator_norm == "none":
        return Plain(nn.Identity())
    if condition_dim:
        return ConditionalBatchNorm2d(channels, condition_dim=condition_dim, networks=networks)
    return Plain(
        VirtualBatchNorm2d(channels) if networks.generator_norm == "virtual" else batch_norm(channels, networks)
    )


def discriminator_norm(channels: int, networks: GanNetworks) -> nn.Module:
    """The normalisation of a discriminator's maps (spectral norm acts on weights and is added elsewhere).

    Batch norm uses batch statistics in eval mode too: running statistics would mix those of real and generated batches,
    which training keeps apart.
    """
    if networks.discriminator_norm == "batch":
        return batch_norm(channels, networks, running=False)
    if networks.discriminator_norm == "layer":
        return nn.GroupNorm(1, channels)
    return nn.Identity()
