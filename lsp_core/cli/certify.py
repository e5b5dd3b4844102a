"""``certify``: up to which radius are test images safe for sure, and from which on was the model fooled?"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table
from tqdm import tqdm

from lsp_core.attacks import Minimal
from lsp_core.attacks.describe import label
from lsp_core.attacks.norms import NORMS
from lsp_core.certify import certify as prove
from lsp_core.certify.radii import RADII, Radii, median
from lsp_core.cli.console import console
from lsp_core.cli.options import (
    BatchSize,
    DataRoot,
    Device,
    Download,
    JsonPath,
    ModelOnImages,
    Seed,
    check_file,
    check_json,
    open_model,
)
from lsp_core.radius import parse_eps, show_eps
from lsp_core.store.files import replacing
from lsp_core.store.provenance import today, versions
from lsp_core.study.page.radii import radii_page
from lsp_core.types import Norm, pick


def certify(
    checkpoint: Annotated[Path, typer.Argument(help="NAME.safetensors")],
    eps: Annotated[
        str | None, typer.Option(help="Radii of the certified accuracy, like 4/255,8/255; default: three of the norm.")
    ] = None,
    norm: Annotated[str, typer.Option(help="Linf or L2.")] = "Linf",
    n: Annotated[int, typer.Option(help="Test images, drawn by --seed.")] = 50,
    smallest: Annotated[bool, typer.Option("--smallest", help="Also look for the smallest radius that fools.")] = False,
    batch_size: BatchSize = 64,
    dataset: Annotated[str | None, typer.Option(help="Another data set or folder than the checkpoint's own.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
    page: Annotated[
        Path | None, typer.Option(help="Also write a page with all such results beside --json, as Markdown.")
    ] = None,
) -> None:
    """Prove up to which radius test images keep their class and, with --smallest, find from which on they lose it."""
    kind: Norm = "L2" if norm == "L2" else "Linf"
    pick("norm", norm, NORMS)
    radii = RADII[kind] if eps is None else tuple(parse_eps(text) for text in eps.split(","))
    if bad := [one for one in radii if not 0 < one < math.inf]:
        raise ValueError(f"eps is {bad[0]:g}, but it must be above 0 (pixels).")
    check_json(json_path, Radii.SCHEMA)
    check_file("page", page)
    if page is not None and json_path is None:
        raise ValueError("page is given without json, but it shows what lies beside that: give --json, too.")
    found = measured(
        open_model(checkpoint, dataset, n, seed, device, data_root, download), kind, seed, smallest, batch_size
    )
    console.print(table(found, radii))
    if json_path:
        found.write(json_path)
    if json_path and page:
        with replacing(page) as begun:
            begun.write_text(radii_page(json_path.parent), encoding="utf-8")


def measured(subject: ModelOnImages, norm: Norm, seed: int, smallest: bool, batch_size: int) -> Radii:
    """Measure all images: the proofs first, then the attack."""
    model, images, labels = subject.model, subject.images, subject.labels
    begun = time.monotonic()
    with Bar("check") as bar:
        proved = prove(model, images, labels, norm, on_progress=bar.show)
    proofs, attack = time.monotonic() - begun, Minimal(norm=norm, seed=seed)
    found = []
    if smallest:
        parts = torch.arange(len(images), device=images.device).split(batch_size)
        with Bar("try") as bar:
            for place, rows in enumerate(parts):
                bar.before, bar.parts = place, len(parts)
                found.append(attack(model, images[rows], labels[rows], on_progress=bar.show))
    return Radii(
        checkpoint=subject.card.name,
        weights=subject.weights,
        dataset=subject.data.name,
        split=subject.data.split,
        norm=norm,
        n=len(images),
        seed=seed,
        proved=tuple(proved.tolist()),
        proved_seconds=proofs,
        found=tuple(_finite(one) for part in found for one in part.eps.tolist()),
        found_8bit=tuple(_finite(one) for part in found for one in part.eps_8bit.tolist()),
        attack=label(attack) if smallest else "",
        found_seconds=time.monotonic() - begun - proofs if smallest else 0.0,
        device=subject.place,
        versions=versions(),
        date=today(),
    )


class Bar:
    """A progress bar over several parts of equal length."""

    def __init__(self, unit: str):
        self.bar, self.before, self.parts = tqdm(unit=unit, leave=False), 0, 1

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def show(self, done: int, total: int) -> None:
        """Show how much of this part is done."""
        self.bar.total = total * self.parts
        self.bar.update(self.before * total + done - self.bar.n)


def table(found: Radii, radii: tuple[float, ...]) -> Table:
    """Return a row for each radius, and one for each median."""
    title = f"{found.checkpoint} on {found.dataset} {found.split}\n{found.norm}, n = {found.n}, seed {found.seed}"
    rows = Table(
        "", "value", "95 % interval", title=title, caption=f"{found.proved_seconds + found.found_seconds:.0f} s"
    )
    for eps in radii:
        share, low, high = found.accuracy(eps)
        rows.add_row(f"certified accuracy at {show_eps(eps)}", f"{share:.1%}", f"{low:.1%} to {high:.1%}")
    rows.add_row("median proved radius", *_row(list(found.proved)))
    if found.found:
        rows.add_row(f"median radius found ({found.attack})", *_row(found.smallest))
        eight = [math.inf if one is None else one for one in found.found_8bit]
        rows.add_row("the same after rounding to 8 bits", *_row(eight))
    return rows


def _row(values: list[float]) -> tuple[str, str]:
    middle, low, high = median(values)
    return f"{middle:.4f}", f"{low:.4f} to {high:.4f}" if low > -math.inf else "fewer than six images have none"


def _finite(radius: float) -> float | None:
    return radius if math.isfinite(radius) else None
