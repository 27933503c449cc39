"""Other people's attacks behind one signature, for running beside ours. Those that are not installed are left out.

Install what is wanted into an environment of its own: `pip install torchattacks adversarial-robustness-toolbox`. The
sources of AutoAttack (fra31/auto-attack) and adversarial-library (jeromerony/adversarial-library) go on PYTHONPATH.
"""

import importlib.util
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Peer = Callable[[nn.Module, Tensor, Tensor, float], Tensor]
"""(network that takes [0, 1], images, labels, eps) to adversarial images."""


class Counted(nn.Module):
    """A network that counts the images that pass through it, forwards and backwards."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.forwards = self.backwards = 0

    def forward(self, images: Tensor) -> Tensor:
        self.forwards += len(images)
        logits = self.network(images)
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


def has(module: str) -> bool:
    """Whether a peer is installed."""
    return importlib.util.find_spec(module) is not None


def pgd_peers(*, steps: int, norm: str = "linf") -> dict[str, Peer]:
    """PGD with `steps` steps of 2.5 eps / steps from a random start, by each peer that has it in that norm."""
    found: dict[str, Peer] = {"bare loop": lambda *given: bare_loop(*given, steps=steps)} if norm == "linf" else {}
    if has("foolbox"):
        found["foolbox"] = lambda *given: _foolbox_pgd(*given, steps=steps, norm=norm)
    if has("torchattacks"):
        found["torchattacks"] = lambda *given: _torchattacks_pgd(*given, steps=steps, norm=norm)
    if has("art"):
        found["ART"] = lambda *given: _art_pgd(*given, steps=steps, norm=norm)
    if has("adv_lib") and norm == "linf":
        found["adversarial-library"] = lambda *given: _advlib_pgd(*given, steps=steps)
    return found


def minimal_peers(*, norm: str, steps: int) -> dict[str, Callable[..., Tensor]]:
    """Attacks that look for the nearest image, by each peer that has them in that norm: (network, images, labels)."""
    found: dict[str, Callable[..., Tensor]] = {}
    order: Any = {"linf": float("inf"), "l2": 2, "l1": 1}[norm]
    if has("adv_lib"):
        from adv_lib import attacks

        found["adversarial-library FMN"] = partial(attacks.fmn, norm=order, steps=steps)
        if norm == "l2":
            found["adversarial-library DDN"] = partial(attacks.ddn, steps=steps, levels=None)
            found["adversarial-library C&W"] = partial(attacks.carlini_wagner_l2, max_iterations=1000)
        if norm == "linf":
            found["adversarial-library C&W"] = attacks.carlini_wagner_linf
    if has("autoattack"):
        found["official FAB-T"] = partial(_official_fab, norm=norm, steps=steps)
    if has("foolbox"):
        names = {
            "l2": ("DDNAttack", "L2CarliniWagnerAttack"),
            "l1": ("EADAttack", "L1FMNAttack"),
            "linf": ("LInfFMNAttack",),
        }
        for name in names[norm]:
            found[f"foolbox {name}"] = partial(_foolbox_minimal, name=name, steps=steps)
    return found


def _official_fab(network: nn.Module, images: Tensor, labels: Tensor, *, norm: str, steps: int) -> Tensor:
    from autoattack.fab_pt import FABAttack_PT

    names = {"linf": "Linf", "l2": "L2", "l1": "L1"}
    attack = FABAttack_PT(
        network, n_restarts=1, n_iter=steps, eps=1e10, seed=0, norm=names[norm], verbose=False, device="cpu"
    )
    attack.targeted, attack.n_target_classes = True, 9
    return attack.perturb(images, labels)


def _foolbox_minimal(network: nn.Module, images: Tensor, labels: Tensor, *, name: str, steps: int) -> Tensor:
    import foolbox

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    own = {} if name in ("L2CarliniWagnerAttack", "EADAttack") else {"steps": steps}
    return getattr(foolbox.attacks, name)(**own)(model, images, labels, epsilons=None)[1]


def bare_loop(network: nn.Module, images: Tensor, labels: Tensor, eps: float, *, steps: int) -> Tensor:
    """The least that PGD can cost without stopping early: one forward and one input gradient a step, nothing else."""
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    network.requires_grad_(False)
    current = (images + eps * (2 * torch.rand_like(images) - 1)).clamp(0, 1)
    for _ in range(steps):
        current.requires_grad_()
        loss = nn.functional.cross_entropy(network(current), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, current)
        with torch.no_grad():
            current = current.detach() + 2.5 * eps / steps * gradient.sign()
            current = current.clamp(images - eps, images + eps).clamp(0, 1)
    for parameter, flag in zip(network.parameters(), wanted, strict=True):
        parameter.requires_grad_(flag)
    return current


def official_autoattack(
    network: nn.Module, images: Tensor, labels: Tensor, eps: float, *, norm: str, batch_size: int = 256
) -> Tensor:
    """The ensemble `standard` by its authors' code."""
    from autoattack import AutoAttack

    names = {"linf": "Linf", "l2": "L2", "l1": "L1"}
    adversary = AutoAttack(network, norm=names[norm], eps=eps, version="standard", device="cpu", seed=0, verbose=False)
    return adversary.run_standard_evaluation(images, labels, bs=batch_size)


def _foolbox_pgd(network: nn.Module, images: Tensor, labels: Tensor, eps: float, *, steps: int, norm: str) -> Tensor:
    import foolbox

    name = {"linf": "Linf", "l2": "L2", "l1": "L1"}[norm]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
    attack = getattr(foolbox.attacks, f"{name}ProjectedGradientDescentAttack")(rel_stepsize=2.5 / steps, steps=steps)
    return attack(model, images, labels, epsilons=eps)[1]


def _torchattacks_pgd(
    network: nn.Module, images: Tensor, labels: Tensor, eps: float, *, steps: int, norm: str
) -> Tensor:
    import torchattacks

    if norm == "linf":
        return torchattacks.PGD(network, eps=eps, alpha=2.5 * eps / steps, steps=steps)(images, labels)
    return torchattacks.PGDL2(network, eps=eps, alpha=2.5 * eps / steps, steps=steps)(images, labels)


def _art_pgd(network: nn.Module, images: Tensor, labels: Tensor, eps: float, *, steps: int, norm: str) -> Tensor:
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    classes = int(network(images[:1]).shape[1])
    shape: Any = tuple(images.shape[1:])
    model = PyTorchClassifier(
        network, nn.CrossEntropyLoss(), input_shape=shape, nb_classes=classes, clip_values=(0, 1), device_type="cpu"
    )
    order: Any = {"linf": float("inf"), "l2": 2, "l1": 1}[norm]
    attack = ProjectedGradientDescentPyTorch(
        model,
        order,
        eps=eps,
        eps_step=2.5 * eps / steps,
        max_iter=steps,
        num_random_init=1,
        batch_size=256,
        verbose=False,
    )
    return torch.from_numpy(attack.generate(images.numpy(), labels.numpy()))


def _advlib_pgd(network: nn.Module, images: Tensor, labels: Tensor, eps: float, *, steps: int) -> Tensor:
    from adv_lib.attacks import pgd_linf

    return pgd_linf(network, images, labels, ε=eps, steps=steps, relative_step_size=2.5 / steps)
