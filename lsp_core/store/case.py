"""A case: one image, what attacks on some models made of it, and all that is needed to do it again. One zip file."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from lsp_core.store.schema import SchemaError, Stored, parse
from lsp_core.types import Record

FACTS, ARRAYS = "case.json", "images.safetensors"
MOST_BYTES = 20_000_000  # of the file, and of each member
DATE = (1980, 1, 1, 0, 0, 0)  # of every member: the same case is the same file


@dataclass(frozen=True)
class Subject(Stored):
    """One of the models.

    Attributes:
        name: of the checkpoint; never a path.
        weights: sha256 of its weights.
        clean: the class that it takes the clean image for; ``attacked`` that of the adversarial image.
    """

    name: str
    weights: str
    clean: int
    attacked: int


@dataclass(frozen=True)
class Case(Stored):
    """What the file says beside the images.

    Attributes:
        classes: names by number.
        label: the true class, None where nobody knows it.
        attack: class and settings (``lsp_core.attacks.recorded``).
        view: how the page was set, as its link says it.
    """

    SCHEMA: ClassVar[str] = "lsp-lab/case/1"

    dataset: str
    classes: tuple[str, ...]
    label: int | None
    attack: Record
    subjects: tuple[Subject, ...]
    view: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""

    def __post_init__(self) -> None:
        """Refuse classes that have no name.

        Raises:
            ValueError: naming the value.
        """
        guesses = [guess for subject in self.subjects for guess in (subject.clean, subject.attacked)]
        for name, number in [("label", self.label), *(("a prediction", guess) for guess in guesses)]:
            if number is not None and not 0 <= number < len(self.classes):
                raise ValueError(f"{name} is {number}, but there are the classes 0 to {len(self.classes) - 1}.")
        if not self.subjects:
            raise ValueError("subjects are none, but a case has a model at least.")


def write_case(case: Case, clean: Tensor, adversarial: Tensor) -> bytes:
    """Return the file: images as attacked, exact and as PNG, and all facts.

    Args:
        case: the facts.
        clean: (C,H,W) in [0,1].
        adversarial: (M,C,H,W), one for each of the subjects.
    """
    arrays = {"clean": clean.float().contiguous(), "adversarial": adversarial.float().contiguous()}
    files = {FACTS: json.dumps(case.to_record(), indent=1).encode(), ARRAYS: save(arrays), "clean.png": as_png(clean)}
    for number, (subject, image) in enumerate(zip(case.subjects, adversarial, strict=True), 1):
        safe = "".join(
            letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in subject.name
        )
        files[f"adversarial-{number}-{safe[:60]}.png"] = as_png(image)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def read_case(content: bytes) -> tuple[Case, Tensor, Tensor]:
    """Read a case that anybody may have written: its facts, the clean image (C,H,W), and the adversarial ones.

    Raises:
        SchemaError: in one sentence, if it is none, damaged, too large, or its images are not what they should be.
    """
    if len(content) > MOST_BYTES:
        raise SchemaError(f"The case has {len(content) / 1e6:.0f} MB; the limit is {MOST_BYTES / 1e6:.0f} MB.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            facts, arrays = (_member(archive, name) for name in (FACTS, ARRAYS))
        case, images = parse(Case, facts.decode("utf-8")), load(arrays)
        clean, adversarial = images["clean"], images["adversarial"]
    except SchemaError as error:
        raise SchemaError(f"The file is no case of LSP Lab: {error}") from error
    except Exception as error:  # on hostile bytes zipfile and zlib raise whatever comes
        raise SchemaError(f"The file is no case of LSP Lab, or it is damaged ({type(error).__name__}).") from error
    shape = (len(case.subjects), *clean.shape)
    if clean.dim() != 3 or adversarial.shape != shape or {clean.dtype, adversarial.dtype} != {torch.float32}:
        raise SchemaError(
            f"The case's images are {tuple(clean.shape)} and {tuple(adversarial.shape)}, not float32 of one shape."
        )
    for image in (clean, adversarial):
        if not (image.amin() >= 0 and image.amax() <= 1):  # written so that NaN fails
            raise SchemaError("The case's images do not lie in [0,1].")
    return case, clean, adversarial


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:  # what its header says of its size is not believed
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise SchemaError(f"{name} has more than {MOST_BYTES / 1e6:.0f} MB.")
    return content


def as_png(image: Tensor) -> bytes:
    """Encode an image (C,H,W) in [0,1], rounded to 8 bits; more than three channels are laid side by side in grey."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    if len(pixels) not in (1, 3):
        pixels = torch.cat(list(pixels), 1)[None]
    array = pixels[0].numpy() if len(pixels) == 1 else pixels.permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()
