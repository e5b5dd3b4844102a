"""Rows of a data set by class: some set apart, or the classes in turn."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def stratified_split(labels: Tensor, held_out: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the rows to keep and ``held_out`` rows set apart, each class in proportion, both in order.

    Source: scikit-learn's ``train_test_split``, whose rows these are. It would take most of a second to import.

    Raises:
        ValueError: if either part would be smaller than the number of classes, or a class has a single image.
    """
    sizes = labels.bincount()
    classes, most = int((sizes > 0).sum()), len(labels) - int((sizes > 0).sum())
    if not classes <= held_out <= most:
        raise ValueError(
            f"{held_out} of {len(labels)} images cannot be set apart with some of each of {classes} classes on both "
            f"sides: the number must be from {classes} to {most}."
        )
    if (sizes == 1).any():
        raise ValueError("a class has a single image, but it needs one on each side of the split.")
    counts, generator = sizes[sizes > 0].cpu().numpy(), np.random.RandomState(seed)
    kept = _shares(counts, len(labels) - held_out, generator)
    _shares(counts - kept, held_out, generator)  # all that is left; to break ties, it may draw a number, too
    members = np.split(labels.cpu().numpy().argsort(kind="stable"), counts.cumsum()[:-1])
    shuffled = [own[generator.permutation(len(own))] for own in members]
    first = np.concatenate([own[:count] for own, count in zip(shuffled, kept, strict=True)])
    second = np.concatenate([own[count:] for own, count in zip(shuffled, kept, strict=True)])
    return torch.from_numpy(np.sort(first)), torch.from_numpy(np.sort(second))


def _shares(counts: NDArray[np.int64], total: int, generator: np.random.RandomState) -> NDArray[np.int64]:
    """Return ``total`` parted among classes as their counts are; the largest remainders get what rounding leaves."""
    exact = counts / counts.sum() * total
    shares = np.floor(exact)
    left, remainders = total - int(shares.sum()), exact - shares
    for remainder in np.unique(remainders)[::-1]:
        if left == 0:
            break
        alike = np.flatnonzero(remainders == remainder)
        lucky = generator.choice(alike, size=min(len(alike), left), replace=False)
        shares[lucky] += 1
        left -= len(lucky)
    whole: NDArray[np.int64] = shares.astype(np.int64)
    return whole


def drawn_rows(count: int, n: int, seed: int) -> Tensor:
    """Return which ``n`` of ``count`` images a seed draws, without repetition: fewer are the first of more.

    >>> torch.equal(drawn_rows(100, 5, seed=0), drawn_rows(100, 9, seed=0)[:5])
    True
    """
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:n]


def spread(labels: Tensor, count: int) -> Tensor:
    """Return ``count`` rows that take the classes in turn: 0, 1, 2, …, 0, 1, 2 and so on, each class in its own order.

    >>> spread(torch.tensor([0, 0, 1, 1, 1]), 4)
    tensor([0, 2, 1, 3])
    """
    order = labels.argsort(stable=True)
    sizes = labels.bincount()
    turn = torch.cat([torch.arange(int(size)) for size in sizes])  # how many of the class came before
    return order[turn.argsort(stable=True)][:count]
