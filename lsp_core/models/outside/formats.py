"""What kind of file somebody brings, told by its content: data is read, and what holds code is refused."""

from __future__ import annotations

import io
import zipfile
from typing import Literal

MAX_BYTES = 600 * 2**20  # of a file with its companion; ResNet-152 has 230 MiB, a ViT-B 330, VGG-19 548
EXPORT = 'torch.onnx.export(model.eval(), (torch.rand(1, 3, 224, 224),), "model.onnx")'
KERAS = 'model.export("model.onnx", format="onnx")'
INSTEAD = f"export it where it was made, with its own image size: {EXPORT}"


class OutsideError(ValueError):
    """A file from outside that is not taken; the message is one sentence that says why."""


# What an archive holds is told by the first of these that is in the name of one of its files.
ARCHIVES = {
    "serialized_exported_program.json": f"is a torch.export program (.pt2), whose loading can run code: {INSTEAD}.",
    "archive_format": f"is a torch.export program (.pt2), whose loading can run code: {INSTEAD}.",
    "constants.pkl": f"is TorchScript, which is code: {INSTEAD}.",
    "data.pkl": f"is a pickle of PyTorch, whose loading can run code: {INSTEAD}.",
    "model.weights.h5": f"is a Keras model: export it where it was made: {KERAS}.",
}
HEADS = {
    b"\x89HDF": f"is an HDF5 file, perhaps of Keras: export the model where it was made: {KERAS}.",
    b"\x80": f"is a pickle, whose loading can run code: {INSTEAD}.",
}


def kind_of(content: bytes) -> Literal["onnx", "safetensors"]:
    """Return what a file holds; what has no mark of its own is taken for ONNX, which has none.

    Raises:
        OutsideError: if it is something else, empty or too large; it is not opened any further.
    """
    check_bytes(len(content))
    if zipfile.is_zipfile(io.BytesIO(content)):
        raise OutsideError(f"it {_archive(content)}")
    for head, reason in HEADS.items():
        if content.startswith(head):
            raise OutsideError(f"it {reason}")
    length = int.from_bytes(content[:8], "little")
    return "safetensors" if content[8:9] == b"{" and length <= len(content) - 8 else "onnx"


def check_bytes(count: int) -> None:
    """Refuse a file of no or of too many bytes.

    Raises:
        OutsideError: with the limit.
    """
    if count == 0:
        raise OutsideError("it is empty.")
    if count > MAX_BYTES:
        raise OutsideError(f"it has {count / 2**20:,.0f} MiB; the limit is {MAX_BYTES / 2**20:.0f}.")


def _archive(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = " ".join(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        names = ""
    found = (reason for mark, reason in ARCHIVES.items() if mark in names)
    return next(found, f"is a zip archive, and no ONNX or safetensors file: {INSTEAD}.")
