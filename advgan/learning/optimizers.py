"""The optimisers of a classifier and of the players of a GAN, and how their moments come back from a checkpoint."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from advgan.config import ClassifierTraining, GanTraining
from advgan.models.interface import Network


def build_optimizer(network: nn.Module, training: ClassifierTraining) -> Optimizer:
    """Build a classifier's optimiser; biases and norm scales get weight decay only with `decays_everything`."""
    scales_decay = training.weight_decay if training.decays_everything else 0.0
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in learnt if each.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [each for each in learnt if each.ndim <= 1], "weight_decay": scales_decay},
    ]
    if training.optimizer == "adamw":
        return AdamW(groups, lr=training.learning_rate, fused=True)
    return SGD(groups, lr=training.learning_rate, momentum=0.9, nesterov=training.nesterov, fused=True)


def player_optimizer(network: Network, training: GanTraining, learning_rate: float) -> Optimizer:
    """Build the optimiser of one player of a GAN, whole-network kernels throughout."""
    parameters = list(network.parameters())
    if training.optimizer == "adam":
        return Adam(parameters, learning_rate, (training.beta1, training.beta2), fused=True)
    if training.optimizer == "rmsprop":
        return RMSprop(parameters, learning_rate, alpha=training.beta2, foreach=True)
    return SGD(parameters, learning_rate, momentum=training.beta1, fused=True)


def load_moments(optimizer: Optimizer, moments: Mapping[int, Mapping[str, Any]]) -> None:
    """Load an optimiser's moments in the memory layout of their parameters: fused kernels pair elements by address."""
    description = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    copies = {
        index: {name: _laid_out(value, parameters[index]) for name, value in values.items()}
        for index, values in moments.items()
    }
    optimizer.load_state_dict({"state": copies, "param_groups": description["param_groups"]})


def _laid_out(value: Any, parameter: Tensor) -> Any:
    if not isinstance(value, Tensor):
        return value
    if value.ndim == 0:  # a counter of steps
        return value.clone()
    if value.shape != parameter.shape:
        raise ValueError(f"a moment of shape {tuple(value.shape)} does not fit a parameter of {tuple(parameter.shape)}")
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
