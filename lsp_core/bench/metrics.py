"""Our neighbourhood metrics against scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lsp_core.bench.pair import Extent, ModelPair
from lsp_core.bench.timing import Measurement, race
from lsp_core.neighborhoods import knn, trustworthiness

K = 10
LIMIT = 1.0  # of scikit-learn's time
MANY, WIDE, MANY_LIMIT = 10_000, 512, 0.1  # points and dimensions where the goal is a tenth of it
SYNTHETIC = "digits"  # with which those are measured, since it is always there


def neighbor_metrics(pair: ModelPair, extent: Extent) -> Iterator[Measurement]:
    """Compare the k nearest neighbours of images, and the trustworthiness of the plain model's embedding of them.

    Once, unless the bench is a quick one, also the neighbours of many drawn points: without any structure to use.
    """
    from sklearn.manifold import trustworthiness as their_trustworthiness

    generator = torch.Generator().manual_seed(extent.seed)
    rows = torch.randperm(len(pair.train), generator=generator)[: extent.points]
    images = pair.train.float(rows).to(pair.device)
    with torch.no_grad():
        embedding = pair.models["plain"].features(images)
    points = images.flatten(1)
    their_points, their_embedding = points.cpu().numpy(), embedding.cpu().numpy()
    title = f"{pair.dataset}, {len(points)} points in {points.shape[1]} dimensions"

    yield _nearest(points, title, extent, LIMIT)
    figures = {
        "ours": lambda: trustworthiness(points, embedding, K),
        "theirs": lambda: float(their_trustworthiness(their_points, their_embedding, n_neighbors=K)),
    }
    gap = abs(figures["ours"]() - figures["theirs"]())
    timings = race(figures, extent.runs, device=extent.device)
    finding = f"figures differ by {gap:.0e}"
    times = (timings["ours"], timings["theirs"])
    yield Measurement("metrics", f"trustworthiness, {title}", "manifold", *times, finding, {"difference": gap}, LIMIT)

    if pair.dataset == SYNTHETIC and extent.points >= Extent.points:
        drawn = torch.randn(MANY, WIDE, generator=generator).to(extent.device)
        yield _nearest(drawn, f"drawn normally, {MANY} points in {WIDE} dimensions", extent, MANY_LIMIT)


def _nearest(points: Tensor, title: str, extent: Extent, limit: float) -> Measurement:
    from sklearn.neighbors import NearestNeighbors

    theirs = points.cpu().numpy()
    arms = {
        "ours": lambda: knn(points, K).distances,
        "theirs": lambda: NearestNeighbors(n_neighbors=K).fit(theirs).kneighbors()[0],
    }
    gap = (arms["ours"]().cpu() - torch.from_numpy(arms["theirs"]())).abs().amax().item()
    timings = race(arms, extent.runs, device=extent.device)
    finding = f"distances differ by at most {gap:.0e}"
    times = (timings["ours"], timings["theirs"])
    what = f"{K} nearest, {title}"
    return Measurement("metrics", what, "NearestNeighbors", *times, finding, {"difference": gap}, limit)
