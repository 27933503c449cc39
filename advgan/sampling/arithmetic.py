"""Latent arithmetic: signed sums of the mean latents of classes, such as `7 - 1 + 0` (Radford et al., 2016)."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Term(NamedTuple):
    """A class and its sign in the sum."""

    sign: int
    group: str


def parse_terms(text: str) -> tuple[Term, ...]:
    """Read `A - B + C`. Signs stand between spaces, since the name of a class may hold one too ("t-shirt").

    Raises ValueError where a name is missing.
    """
    pieces = re.split(r"(?:^|\s+)([+-])(?:\s+|$)", text.strip())
    pieces = pieces[1:] if pieces[0] == "" else ["+", *pieces]
    terms = tuple(Term(-1 if sign == "-" else 1, group) for sign, group in zip(pieces[::2], pieces[1::2], strict=True))
    if not terms or not all(term.group for term in terms):
        raise ValueError(f"arithmetic {text!r}: write classes with signs between spaces, such as '7 - 1 + 0'")
    return terms


def group_means(latents: Tensor, classes: Tensor, names: Sequence[str], wanted: Sequence[str]) -> dict[str, Tensor]:
    """Mean of the latents (N, D) of each wanted class: name to (D,). `classes` (N,) are places in `names`.

    Raises ValueError for a class that does not exist or that no sample belongs to.
    """
    means = {}
    for name in dict.fromkeys(wanted):
        if name not in names:
            raise ValueError(f"arithmetic: no class {name!r}; the classes are {', '.join(names)}")
        members = latents[classes == names.index(name)]
        if not len(members):
            raise ValueError(
                f"arithmetic: none of {len(latents):,} samples is a {name!r}: draw more with --num-samples"
            )
        means[name] = members.mean(dim=0)
    return means


def combine(terms: Sequence[Term], means: Mapping[str, Tensor]) -> Tensor:
    """Add up the signed means of the terms: (D,)."""
    return torch.stack([term.sign * means[term.group] for term in terms]).sum(dim=0)
