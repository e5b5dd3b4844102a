"""``attack``: a few test images under one attack, image by image, and the adversarial images as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor

from lsp_core.attacks.describe import label, settings
from lsp_core.attacks.norms import NORMS
from lsp_core.attacks.table import ATTACKS, parse_attack
from lsp_core.cli.case import compared, open_case
from lsp_core.cli.console import console
from lsp_core.cli.options import (
    DataRoot,
    Device,
    Download,
    JsonPath,
    Loss,
    ModelOnImages,
    Queries,
    Restarts,
    Seed,
    Source,
    Steps,
    Workers,
    check_folder,
    check_gradient,
    check_json,
    names,
    open_model,
    open_other,
    radius,
)
from lsp_core.evaluation import predict
from lsp_core.evaluation.craft import craft
from lsp_core.radius import show_eps
from lsp_core.store.files import replacing, write_json
from lsp_core.store.provenance import today, versions
from lsp_core.types import Norm, Record

SIDE, GAP = 96, 4  # pixels on the sheet: an image, enlarged without resampling, and the white between two
SCHEMA = "lsp-lab/attack/2"


def attack(
    checkpoint: Annotated[Path, typer.Argument(help="NAME.safetensors")],
    method: Annotated[str, typer.Option("--attack", help=f"{names(ATTACKS)}, or several joined by +.")] = "pgd",
    eps: Annotated[str | None, typer.Option(help="Radius, 0.1 or 8/255; default: that of the training.")] = None,
    norm: Annotated[str, typer.Option(help="Linf or L2.")] = "Linf",
    steps: Steps = None,
    restarts: Restarts = None,
    loss: Loss = None,
    queries: Queries = None,
    source: Source = None,
    n: Annotated[int, typer.Option(help="Test images, drawn by --seed.")] = 8,
    case: Annotated[
        Path | None, typer.Option(help="A case of the app: its image and its attack, in place of all above.")
    ] = None,
    workers: Workers = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the images: exact, and on a sheet to look at.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Another data set or folder than the checkpoint's own.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    download: Download = False,
    json_path: JsonPath = None,
) -> None:
    """Attack a few test images and say what became of each; evaluate is for accuracies."""
    check_json(json_path, SCHEMA)
    check_folder("out", out or Path())
    given: Record
    if case is not None:
        given = {"eps": eps, "steps": steps, "restarts": restarts, "loss": loss, "queries": queries, "source": source}
        if said := [name for name, value in given.items() if value is not None]:
            raise ValueError(f"{said[0]} is given, but a case brings its own attack: leave it out.")
        subject, chosen, told = open_case(case, checkpoint, device)
    else:
        subject = open_model(checkpoint, dataset, n, seed, device, data_root, download)
        check_gradient(subject.card, [method.replace(" ", "")])
        other = (source.stem, open_other(source, subject, "source")) if source else None
        given = {"steps": steps, "restarts": restarts, "loss": loss, "queries": queries, "source": other}
        chosen = parse_attack(method, radius(eps, subject.card, norm), norm, seed, **given)
    found = craft(chosen, subject.model, subject.images, subject.labels, workers=workers)
    rows = outcomes(subject, chosen.norm, found)
    title = f"{subject.card.name}: {label(chosen)}, {chosen.norm}"
    table = Table("image", "class", "before", "after", "moved", title=title)
    for place, row in enumerate(rows):
        sides = [f"{row[side]['prediction']} {row[side]['probability']:.0%}" for side in ("clean", "adversarial")]
        table.add_row(str(place + 1), row["class"], *sides, f"{row['moved']:.3f}")
    console.print(table)
    right = sum(row["clean"]["prediction"] == row["class"] for row in rows)
    fooled = sum(row["fooled"] for row in rows)
    console.print(f"{fooled} of {right} images that were right are not any more, at eps {show_eps(chosen.eps)}.")
    if case is not None:
        console.print(compared(told, subject, found))
    if out is not None:
        console.print(f"images: {write_images(out, subject.stem, subject.images, found, subject.labels)}")
    if json_path:
        made = {"attack": type(chosen).__name__, "label": label(chosen), "settings": settings(chosen)}
        where = {"dataset": subject.data.name, "split": subject.data.split, "n": len(rows), "seed": seed}
        head = {"schema": SCHEMA, "checkpoint": subject.card.name, "weights": subject.weights, **where}
        origin = {"device": subject.place, "versions": versions(), "date": today()}
        write_json(json_path, {**head, **made, "norm": chosen.norm, "eps": chosen.eps, "images": rows, **origin})


def outcomes(subject: ModelOnImages, norm: Norm, found: Tensor) -> list[Record]:
    """Return for each image its class, what the model takes it for before and after, how far it moved, and the result.

    ``fooled`` is true where the model was right and is not any more.
    """
    before, after = (predict(subject.model, images).softmax(1) for images in (subject.images, found))
    moved = NORMS[norm].size(found - subject.images).flatten().tolist()
    classes, rows = subject.data.classes, []
    for place, true in enumerate(subject.labels.tolist()):
        shares = {"clean": before[place], "adversarial": after[place]}
        guesses = {side: int(share.argmax()) for side, share in shares.items()}
        sides = {
            side: {"prediction": classes[guesses[side]], "probability": float(share.max())}
            for side, share in shares.items()
        }
        fooled = guesses["clean"] == true != guesses["adversarial"]
        rows.append({"class": classes[true], **sides, "moved": moved[place], "fooled": fooled})
    return rows


def write_images(folder: Path, stem: str, clean: Tensor, adversarial: Tensor, labels: Tensor) -> Path:
    """Write ``STEM.attack.safetensors``, float32 as attacked, and ``STEM.attack.png``; return the first.

    The sheet has a column an image: before, after, and the difference at full strength around mid-grey. It is rounded
    to 256 levels, which a small attack may not survive.
    """
    from torchvision.transforms.functional import to_pil_image  # here, for it loads torch's compiler: 1.5 s
    from torchvision.utils import make_grid

    exact = folder / f"{stem}.attack.safetensors"
    tensors = {"clean": clean, "adversarial": adversarial, "labels": labels}
    with replacing(exact) as partial:
        save_file({key: tensor.cpu().contiguous() for key, tensor in tensors.items()}, partial)
    change = adversarial - clean
    strong = 0.5 + 0.5 * change / change.abs().amax().clamp(min=1e-12)
    scale = max(1, SIDE // clean.shape[-1])
    sheet = torch.cat([clean, adversarial, strong]).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    with replacing(folder / f"{stem}.attack.png") as partial:
        to_pil_image(make_grid(sheet.cpu(), nrow=len(clean), padding=GAP, pad_value=1)).save(partial, "PNG")
    return exact
