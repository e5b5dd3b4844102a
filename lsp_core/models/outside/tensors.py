"""The weights in an ONNX graph: what they declare is what there is of them, and nothing is read that was not given."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from lsp_core.models.outside.formats import MAX_BYTES, OutsideError

# Of a number format: its name in onnx.TensorProto, the bytes of a number, and the field of those not written raw.
FORMATS = {
    "FLOAT": (4, "float_data"),
    "DOUBLE": (8, "double_data"),
    "INT64": (8, "int64_data"),
    "INT32": (4, "int32_data"),
    "INT8": (1, "int32_data"),
    "UINT8": (1, "int32_data"),
    "BOOL": (1, "int32_data"),
}


def settle_tensors(tensors: Iterable[Any], companion: bytes | None) -> None:
    """Check the tensors of a graph, and put into it those that lie in the companion file.

    Args:
        tensors: onnx.TensorProto each; their declared sizes are added up before a byte of them is read.
        companion: what NAME.onnx.data holds, None if it was not given. The file name that the tensors state is never
            opened.

    Raises:
        OutsideError: if a tensor is of another format, of more or fewer numbers than it declares, outside of the
            companion, or if all are too many.
    """
    found, places = list(tensors), set[str]()
    sizes = [_declared(tensor) for tensor in found]
    if sum(sizes) > MAX_BYTES:
        raise OutsideError(f"its tensors declare {sum(sizes):,} bytes; the limit is {MAX_BYTES:,}.")
    for tensor, size in zip(found, sizes, strict=True):
        if tensor.data_location == tensor.EXTERNAL:
            places.add(_fetch(tensor, size, companion))
        elif _there(tensor) != size:
            raise OutsideError(f"a tensor declares {size:,} bytes, but holds {_there(tensor):,}.")
    if len(places) > 1:
        raise OutsideError(f"its weights lie in {len(places)} other files, but only one can be given with it.")


def _declared(tensor: Any) -> int:
    kinds: dict[int, str] = {tensor.DataType.Value(name): name for name in FORMATS}
    if tensor.data_type not in kinds:
        raise OutsideError(f"a tensor has numbers of kind {_kind(tensor)}, but only {', '.join(FORMATS)} are read.")
    if any(side < 0 for side in tensor.dims):
        raise OutsideError(f"a tensor has the shape {tuple(tensor.dims)!s:.60}.")
    count: int = math.prod(tensor.dims)
    return count * FORMATS[kinds[tensor.data_type]][0]


def _kind(tensor: Any) -> str:
    names: dict[int, str] = {number: name for name, number in tensor.DataType.items()}
    return names.get(tensor.data_type, str(tensor.data_type))


def _there(tensor: Any) -> int:
    """Return how many bytes of numbers a tensor holds."""
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data)
    width, field = FORMATS[_kind(tensor)]
    return len(getattr(tensor, field)) * width


def _fetch(tensor: Any, size: int, companion: bytes | None) -> str:
    """Put the numbers of a tensor into it, and return the name of the file where it says that they are."""
    said: dict[str, str] = {entry.key: entry.value for entry in tensor.external_data}
    place = said.get("location", "")
    if not place or any(mark in place for mark in "/\\:") or place in (".", ".."):
        raise OutsideError(
            f"its weights lie in {place!r:.60}, but only a file right beside it, NAME.onnx.data, is read."
        )
    if companion is None:
        raise OutsideError(
            f"its weights lie in another file, {place!r:.60}: put that beside it, named as the model with .data added."
        )
    try:
        offset, length = int(said.get("offset", 0)), int(said.get("length", size))
    except ValueError:
        raise OutsideError(
            f"a tensor lies at {said.get('offset')!r:.30} of its other file, which is no place."
        ) from None
    if length != size or not 0 <= offset <= len(companion) - size:
        raise OutsideError(
            f"a tensor of {size:,} bytes lies at {offset:,} to {offset + length:,} of its other file, which has "
            f"{len(companion):,}."
        )
    tensor.raw_data = companion[offset : offset + size]
    tensor.ClearField("external_data")
    tensor.data_location = tensor.DEFAULT
    return place
