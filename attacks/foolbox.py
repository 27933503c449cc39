"""Foolbox's attacks under our contract: `foolbox:NAME`, where NAME is the class there (Rauber et al., 2020).

The only file that imports foolbox, and only when one of its attacks is first used. Bugs of foolbox 3.3.4 that we know
are repaired where that can be done from outside; attacks whose results would mislead are refused (`refusals`).

Repaired: attacks that mix the samples of a batch see one sample at a time (HopSkipJump divides by the gradient's norm
over the batch, sparse l1 descent inflates what is in the ball if another sample is not, Carlini-Wagner stops all at
once, virtual adversarial directions fail for all if one gradient vanishes). Attacks that need an image that fools begin
at ours, and leave samples out for which there is none, instead of failing for all. Logits reach foolbox as
log-probabilities, because GenAttack depends on a constant added to them. Budgets are one a sample, and the results are
projected onto them. An image that is not finite or, without an eps, does not fool counts as nothing found: some
attacks return black images, or NaN, where they fail.
"""

import difflib
import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attacks import random
from attacks.black_box.boundary_search import Oracle
from attacks.classifier import Classifier
from attacks.norms import NORMS, Budget, Norm, named_norm
from attacks.random import seeded
from attacks.samples import Samples
from attacks.sealed import Sealed
from attacks.table import Aim, Entry, Knowledge

PREFIX = "foolbox:"

_REFUSED = {
    "BinarizationRefinementAttack": "it only refines images that another attack has found",
    "DDNAttack": "it divides by the length of the perturbation, which is 0 where a gradient is 0: use ddn",
    "DatasetAttack": "it draws from the batch itself: use hopskipjump with starts",
    "EADAttack": "it stops all samples when the sum of their losses stalls, and returns black images: use ead",
    "L2FMNAttack": "its projection scales by 1 whatever the size, so that nothing is projected: use fmn",
    "LinfMomentumIterativeFastGradientMethod": "it adds up signs of gradients and not gradients: use mifgsm",
    "es_gradient_estimator": "it weights each sample's noise with the loss of the whole batch: use nes",
}
_ALONE = {"HopSkipJumpAttack", "L2CarliniWagnerAttack", "SparseL1DescentAttack", "VirtualAdversarialAttack"}
_FROM_A_START = ("BoundaryAttack", "BrendelBethgeAttack", "HopSkipJumpAttack", "PointwiseAttack")
_WRONG_TARGETED = {
    "L2DeepFoolAttack": "it runs to the nearest class, whatever the target: use fab",
    "LinfDeepFoolAttack": "it runs to the nearest class, whatever the target: use fab",
    "L1FastGradientAttack": "it takes no targets: use fgsm",
    "L2FastGradientAttack": "it takes no targets: use fgsm",
    "LinfFastGradientAttack": "it takes no targets: use fgsm",
    "SparseL1DescentAttack": "its mask of pixels at their bounds is that of an untargeted attack: use pgd",
}
_OURS = {"constraint", "distance", "init_attack", "tensorboard"}
"""Arguments that the adapter fills in: distance and constraint follow from the norm, the start from our own search."""
_START_QUERIES = 200
_SEES_SCORES = {"GenAttack"}
_SEES_GRADIENTS = (
    "BaseGradientDescent",
    "BrendelBethgeAttack",
    "DeepFoolAttack",
    "FMNAttackLp",
    "L2CarliniWagnerAttack",
    "NewtonFoolAttack",
    "VirtualAdversarialAttack",
)
_NORM_NAMES = {0: "l0", 1: "l1", 2: "l2", float("inf"): "linf"}


def foolbox_names() -> list[str]:
    """The names of foolbox's attacks that the adapter runs, without the prefix."""
    return sorted(_classes().keys() - _REFUSED.keys())


def refusals() -> Mapping[str, str]:
    """The names that the adapter refuses, each with what is wrong there and what to use instead."""
    return dict(_REFUSED)


def foolbox_attack(name: str) -> Callable[..., Tensor]:
    """Look up a foolbox attack by class name, with or without the prefix, as an attack of ours.

    Options are the arguments of its class, checked against the signature; `norm` is its own or, where it has none, of
    your choice (default l2). Raises ValueError for an unknown name, with the nearest that exists, and for a refused
    one.

    Foolbox draws from the global random states of torch and numpy. They are seeded with (seed, indices) inside, and
    put back after, so that a run can be repeated; but what a sample gets depends on the samples that share its batch,
    except in attacks that see one sample at a time.
    """
    cls = _class(name)
    name = cls.__name__

    def attack(
        classifier: Classifier,
        images: Tensor,
        labels: Tensor,
        *,
        eps: Budget | None = None,
        norm: Norm | str | None = None,
        targeted: bool = False,
        seed: int = 0,
        batch_size: int | None = None,
        indices: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        theirs, used = _build(cls, norm, options)
        fixed = isinstance(theirs, _foolbox().attacks.base.FixedEpsilonAttack)
        if fixed and eps is None:
            raise ValueError(f"{PREFIX}{name} needs an eps: it looks for no smallest change")
        if used is None and eps is not None:
            raise ValueError(f"{PREFIX}{name} has no norm: leave out eps, and bound it by its own options")
        if targeted and name in _WRONG_TARGETED:
            raise ValueError(f"{PREFIX}{name} is refused with targeted=True: {_WRONG_TARGETED[name]}")
        ball = used or named_norm("l2")
        samples = Samples.of(images, labels, eps=eps, norm=ball, targeted=targeted, indices=indices)
        result = samples.images.clone()
        with classifier.frozen():
            for part in samples.split(1 if name in _ALONE else batch_size):
                found = _run(theirs, classifier, part, ball, seed, fixed=fixed)
                result[part.rows] = _accepted(classifier, part, found, ball)
        return result

    attack.__name__ = attack.__qualname__ = PREFIX + name
    attack.__doc__ = inspect.getdoc(cls)
    attack.__signature__ = _signature(attack, cls)  # type: ignore[attr-defined]
    return attack


def foolbox_entry(name: str) -> Entry:
    """Describe a foolbox attack as an `Entry` of the table. Raises what `foolbox_attack` does."""
    cls, attacks = _class(name), _foolbox().attacks.base
    lineage, norms = {base.__name__ for base in cls.__mro__}, _norms(cls)
    knowledge: Knowledge = "gradients" if lineage.intersection(_SEES_GRADIENTS) else "decisions"
    aim: Aim = "minimal" if issubclass(cls, attacks.MinimizationAttack) else "budget" if norms else "free"
    return Entry(foolbox_attack(name), norms, "scores" if cls.__name__ in _SEES_SCORES else knowledge, aim)


def model(network: nn.Module, device: torch.device) -> Any:
    """A network as a foolbox model on pixels in [0, 1]."""
    return _foolbox().PyTorchModel(network.eval(), bounds=(0, 1), device=device)


def _run(theirs: Any, classifier: Classifier, samples: Samples, norm: Norm, seed: int, *, fixed: bool) -> Tensor:
    """Run foolbox once; samples that are misclassified from the start, or whose eps is 0, stay as they are."""
    result = samples.images.clone()
    fooled = samples.fooled(classifier.logits(samples.images, rows=samples.rows))
    seats = (~fooled & (samples.eps > 0)).nonzero().squeeze(1)
    samples = samples.select(seats)
    starts: dict[str, Tensor] = {}
    if any(base.__name__ in _FROM_A_START for base in type(theirs).__mro__):
        near = Oracle(classifier, norm, _START_QUERIES).start(samples, starts=None, seed=seed)
        found = near.found.nonzero().squeeze(1)
        samples, seats, starts = samples.select(found), seats[found], {"starting_points": near.image[found]}
    for eps in samples.eps.unique() if fixed else samples.eps[:1]:  # foolbox takes one for all
        chosen = ((samples.eps == eps) | (not fixed)).nonzero().squeeze(1)
        budget = {"epsilon": float(eps)} if fixed else {key: value[chosen] for key, value in starts.items()}
        result[seats[chosen]] = _call(theirs, classifier, samples.select(chosen), seed, budget)
    return result


def _call(theirs: Any, classifier: Classifier, samples: Samples, seed: int, options: dict[str, Any]) -> Tensor:
    criteria = _foolbox().criteria
    criterion = (criteria.TargetedMisclassification if samples.targeted else criteria.Misclassification)(samples.labels)
    sealed = nn.Sequential(Sealed(classifier, rows=samples.rows), nn.LogSoftmax(dim=1))
    try:
        with _global_states(seed, samples.indices), torch.inference_mode(False), torch.enable_grad():
            return theirs.run(
                model(sealed, samples.images.device), samples.images.clone(), criterion, **options
            ).detach()
    except ValueError as error:
        if "unsupported criterion" not in str(error):
            raise
        way = "leave out targeted" if samples.targeted else "it needs targeted=True"
        raise ValueError(f"{PREFIX}{type(theirs).__name__} has no such form: {way}") from None
    except RuntimeError as error:
        if "Gradient vanished" not in str(error):
            raise
        return samples.images


def _accepted(classifier: Classifier, samples: Samples, found: Tensor, norm: Norm) -> Tensor:
    """Project results into ball and [0, 1]; undo those that are not finite or, without eps, do not fool."""
    bounded = samples.eps < torch.inf
    broken = ~found.flatten(1).isfinite().all(dim=1)[:, None, None, None]
    found = torch.where(broken, samples.images, found).clamp(0, 1)
    inside = norm.size(found - samples.images) <= samples.eps
    reach = torch.where(bounded, samples.eps, 1)
    found = torch.where(inside[:, None, None, None], found, norm.project(found, samples.images, reach))
    if bool(bounded.all()):
        return found
    kept = samples.fooled(classifier.logits(found, rows=samples.rows)) | bounded
    return torch.where(kept[:, None, None, None], found, samples.images)


@contextmanager
def _global_states(seed: int, indices: Tensor) -> Iterator[None]:
    """Seed the global random states of torch and numpy from (seed, indices), restore them after, and mute warnings."""
    stream = int(random.integers(seed, indices, 1 << 31).sum())
    state = np.random.get_state()
    np.random.seed(stream % (1 << 32))
    try:
        with seeded(seed, stream=stream), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(state)


def _build(cls: type, norm: Norm | str | None, options: dict[str, Any]) -> tuple[Any, Norm | None]:
    """Build the foolbox attack from checked options; its norm beside it, None where it has none."""
    name, known = cls.__name__, _options(cls)
    for option in options:
        if option not in known:
            raise ValueError(f"{PREFIX}{name} has no option {option}: choose from {', '.join(known) or 'none'}")
    missing = [key for key, value in known.items() if value.default is value.empty and key not in options]
    if missing:
        raise ValueError(f"{PREFIX}{name} needs {', '.join(missing)}")
    if options.get("stepsize_search") == "grid_search":
        raise ValueError(f"{PREFIX}{name} with stepsize_search='grid_search' mixes up samples: leave it out")
    norms = _norms(cls)
    chosen = named_norm(norms[0] if norm is None else norm) if norms else None
    if chosen is not None:
        if chosen.name not in norms:
            raise ValueError(f"{PREFIX}{name} has no form for {chosen.name}: choose from {', '.join(norms)}")
        given = {"constraint": chosen.name, "distance": getattr(_foolbox().distances, chosen.name)}
        options = options | {key: given[key] for key in given.keys() & inspect.signature(cls).parameters.keys()}
    try:
        theirs = cls(**options)
    except ImportError:
        raise ValueError(f"{PREFIX}{name} needs numba: pip install numba") from None
    return theirs, chosen


def _norms(cls: type) -> tuple[str, ...]:
    """The norms that a class takes, its default first; none where it is not bounded by a norm."""
    if "constraint" in inspect.signature(cls).parameters:
        return ("l2", "linf")
    if issubclass(cls, _foolbox().attacks.base.FlexibleDistanceMinimizationAttack):
        return ("l2", *(norm for norm in NORMS if norm != "l2"))
    if not hasattr(cls, "distance"):
        return ()
    distance: Any = cls.distance
    if isinstance(distance, property):
        assert distance.fget is not None
        distance = distance.fget(None)
    return (_NORM_NAMES[distance.p],)


def _options(cls: type) -> dict[str, inspect.Parameter]:
    """The arguments of a class that a caller may give."""
    parameters = inspect.signature(cls).parameters.values()
    return {
        value.name: value for value in parameters if value.name not in _OURS and value.kind is not value.VAR_KEYWORD
    }


def _signature(attack: Callable[..., Tensor], cls: type) -> inspect.Signature:
    """The adapter's own parameters and, by name only, those of the class."""
    own = [value for value in inspect.signature(attack).parameters.values() if value.kind is not value.VAR_KEYWORD]
    if issubclass(cls, _foolbox().attacks.base.FixedEpsilonAttack) and _norms(cls):
        own = [value.replace(default=value.empty) if value.name == "eps" else value for value in own]
    more = [value.replace(kind=value.KEYWORD_ONLY) for value in _options(cls).values()]
    return inspect.Signature([*own, *more], return_annotation=Tensor)


def _class(name: str) -> type:
    """The class of that name; ValueError where it is refused or there is none."""
    name, classes = name.removeprefix(PREFIX), _classes()
    if name in _REFUSED:
        raise ValueError(f"{PREFIX}{name} is refused: {_REFUSED[name]}")
    if name not in classes:
        near = difflib.get_close_matches(name, classes, n=1, cutoff=0)
        raise ValueError(
            f"unknown attack {PREFIX}{name}: did you mean {PREFIX}{near[0]}? (advgan ls attacks lists them)"
        )
    return classes[name]


def _classes() -> dict[str, type]:
    """Foolbox's attack classes by name, without abstract ones and second names."""
    attacks = _foolbox().attacks
    found = {value.__name__: value for value in vars(attacks).values() if inspect.isclass(value)}
    base = attacks.base.Attack
    return {key: value for key, value in found.items() if issubclass(value, base) and not inspect.isabstract(value)}


def _foolbox() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports what scipy calls deprecated
        return importlib.import_module("foolbox")
