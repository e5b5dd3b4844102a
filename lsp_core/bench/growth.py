"""How cost grows: the time and the memory of an evaluation and of a neighbour search, from small to large."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from lsp_core.attacks import PGD
from lsp_core.bench.memory import peak
from lsp_core.bench.pair import Extent, ModelPair
from lsp_core.bench.timing import Arm, Measurement, Timing, race
from lsp_core.evaluation import evaluate, predict
from lsp_core.models import build_model
from lsp_core.neighborhoods import knn
from lsp_core.workers import pick_workers

K, DIMENSIONS = 10, 128
EPS, STEPS = 8 / 255, 5
SMOOTH = 1.15  # times what the smallest leads one to expect, which is the goal where there is one
FLAT = 2**26  # bytes by which memory may differ


@dataclass(frozen=True)
class Axis:
    """What is made larger, all else staying as it is.

    Attributes:
        work: that is timed.
        of: in words, what there are more of.
        sizes: of it, the smallest first, in a bench of some extent.
        order: the time is expected to grow as the size to this power.
        build: from the size and the extent to what is timed.
        items: from the same to how many images or points that is.
        limited: whether that is a goal, and memory that stays.
    """

    work: str
    of: str
    sizes: Callable[[Extent], tuple[int, ...]]
    order: int
    build: Callable[[int, Extent], Arm]
    items: Callable[[int, Extent], int]
    limited: bool = False


def cost_growth(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:  # noqa: ARG001
    """Time each axis at every size; rows compare with what the smallest size leads one to expect.

    Images, labels and models are drawn: no data set has so many classes or sides to choose from.
    """
    for name, axis in AXES.items():
        sizes = axis.sizes(extent)
        arms = {str(size): axis.build(size, extent) for size in sizes}
        peaks = [peak(arm, extent.device) for arm in arms.values()]  # this is the uncounted first call, too
        timings = race(arms, extent.runs, device=extent.device, warm=False)
        for size, used in zip(sizes, peaks, strict=True):
            ours, factor = timings[str(size)], (size / sizes[0]) ** axis.order
            expected = "the smallest" if size == sizes[0] else f"{factor:g} times that of {sizes[0]}"
            said = f"{1000 * ours.median / axis.items(size, extent):.3g} ms each"
            said += "" if used is None else f", {used / 2**20:.0f} MB at the peak"
            steady = used is None or peaks[0] is None or used <= peaks[0] + FLAT
            figures = {"axis": name, "size": size, "seconds": ours.median, "peak_bytes": used, "order": axis.order}
            yield Measurement(
                "growth",
                f"{axis.work}, {size} {axis.of}",
                expected,
                ours,
                _times(timings[str(sizes[0])], factor),
                said,
                figures,
                SMOOTH if axis.limited and size != sizes[0] else None,
                steady,
            )


def _times(timing: Timing, factor: float) -> Timing:
    return Timing(*(tuple(factor * seconds for seconds in clock) for clock in (timing.wall, timing.cpu)))


def _evaluation(count: int, classes: int, side: int, extent: Extent, workers: int = 1) -> Arm:
    """Return an evaluation in which every image is attacked to the end."""
    generator = torch.Generator().manual_seed(extent.seed)
    images = torch.rand(count, 1, side, side, generator=generator).to(extent.device)
    with torch.random.fork_rng():
        torch.manual_seed(extent.seed)
        model = build_model("cnn", (1, side, side), classes, [0.5], [0.25])
    model = model.to(extent.device).eval().requires_grad_(False)
    labels = predict(model, images).argmax(1)
    attack = PGD(EPS, steps=STEPS, random_start=False, early_stop=False, precision="float32")
    return functools.partial(evaluate, model, images, labels, attack, batch_size=64, workers=workers)


def _search(count: int, extent: Extent) -> Arm:
    generator = torch.Generator().manual_seed(extent.seed)
    points = torch.randn(count, DIMENSIONS, generator=generator).to(extent.device)
    return functools.partial(knn, points, K)


def _several(base: int) -> tuple[int, ...]:
    return (base, 2 * base, 4 * base, 8 * base)


AXES = {
    "images": Axis(
        "evaluation",
        "images",
        lambda extent: _several(extent.growth),
        1,
        lambda size, extent: _evaluation(size, 10, 28, extent),
        lambda size, _: size,
        limited=True,
    ),
    "classes": Axis(
        "evaluation",
        "classes",
        lambda _: (10, 100, 1000),
        0,
        lambda size, extent: _evaluation(extent.growth, size, 28, extent),
        lambda _, extent: extent.growth,
    ),
    "side": Axis(
        "evaluation",
        "pixels a side",
        lambda _: (14, 28, 56),
        2,
        lambda size, extent: _evaluation(extent.growth, 10, size, extent),
        lambda _, extent: extent.growth,
    ),
    "workers": Axis(
        "evaluation",
        "workers",
        lambda extent: tuple(2**power for power in range(pick_workers(None, extent.device).bit_length())),
        -1,
        lambda size, extent: _evaluation(4 * extent.growth, 10, 28, extent, size),
        lambda _, extent: 4 * extent.growth,
    ),
    "points": Axis(
        "neighbour search", "points", lambda extent: _several(extent.points), 2, _search, lambda size, _: size
    ),
}
