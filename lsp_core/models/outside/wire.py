"""An ONNX file before it is parsed: only what is needed is kept of it, and counted.

A parser makes a hundred bytes and more of two that name an empty part, so a small file could fill the memory. What is
left here, but for the numbers of the weights, is at most ``MOST_STRUCTURE`` bytes. The numbers of fields are those of
onnx.proto, the encoding is that of Protocol Buffers.
"""

from __future__ import annotations

from collections.abc import Iterator

from lsp_core.models.outside.formats import OutsideError

MOST_STRUCTURE = 4 * 2**20  # Swin-T, whose graph is the largest that was tried, has a tenth of it
MOST_NODES = 20_000
MOST_FIELDS = 1_000_000  # that are looked at
DAMAGED = "it is no ONNX file, or a damaged one."

MODEL = {1: "", 2: "", 3: "", 7: "graph", 8: ""}  # version of the format, who wrote it, the graph, operator sets
GRAPH = {1: "node", 5: "tensor", 11: "", 12: "", 15: ""}  # nodes, weights, inputs, outputs, sparse weights
NODE = {1: "", 2: "", 4: "", 5: "", 7: ""}  # inputs, outputs, operator, attributes, its domain
KEPT = {"model": MODEL, "graph": GRAPH, "node": NODE}
NUMBERS = (4, 9)  # of a tensor: float_data and raw_data, whose size in memory is their size in the file
VARINT, EIGHT, DELIMITED, FOUR = 0, 1, 2, 5
FIXED = {EIGHT: 8, FOUR: 4}


def pruned(content: bytes) -> bytes:
    """Return an ONNX file without names, documentation and whatever else running its graph does not need.

    Raises:
        OutsideError: if it is no such file, or has more nodes or other structure than any classifier has.
    """
    walk = _Walk()
    chunks, _ = walk.kept(memoryview(content), "model")
    return b"".join(chunks)


class _Walk:
    """Counts what it comes by."""

    def __init__(self) -> None:
        self.fields = self.structure = self.nodes = 0

    def kept(self, part: memoryview, kind: str) -> tuple[list[bytes | memoryview], int]:
        """Return what is kept of a message, in pieces, and how many bytes these are."""
        chunks: list[bytes | memoryview] = []
        for number, wire, whole, body in self.read(part):
            inner = KEPT[kind].get(number)
            if inner is None:
                continue
            self.nodes += inner == "node"
            if inner in KEPT and wire == DELIMITED:
                below, size = self.kept(body, inner)
                chunks += [_varint(number << 3 | DELIMITED), _varint(size), *below]
            else:
                chunks.append(whole)
                self.structure += len(whole) - (self.numbers(body) if inner == "tensor" and wire == DELIMITED else 0)
            if self.structure > MOST_STRUCTURE or self.nodes > MOST_NODES:
                raise OutsideError(
                    f"its graph has more than {MOST_NODES:,} nodes or {MOST_STRUCTURE / 2**20:.0f} MiB beside weights."
                )
        return chunks, sum(map(len, chunks))

    def numbers(self, tensor: memoryview) -> int:
        """Return how many bytes of a tensor are its numbers."""
        return sum(len(body) for number, wire, _, body in self.read(tensor) if number in NUMBERS and wire == DELIMITED)

    def read(self, part: memoryview) -> Iterator[tuple[int, int, memoryview, memoryview]]:
        """Yield the fields of a message: number, kind of encoding, the whole of it, and what it holds."""
        at = 0
        while at < len(part):
            self.fields += 1
            if self.fields > MOST_FIELDS:
                raise OutsideError(f"it has more than {MOST_FIELDS:,} parts.")
            tag, begin = _read_varint(part, at)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                _, end = _read_varint(part, begin)
            elif wire == DELIMITED:
                length, begin = _read_varint(part, begin)
                end = begin + length
            elif wire in FIXED:
                end = begin + FIXED[wire]
            else:
                raise OutsideError(DAMAGED)
            if end > len(part) or number == 0:
                raise OutsideError(DAMAGED)
            yield number, wire, part[at:end], part[begin:end]
            at = end


def _read_varint(part: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70 and at < len(part):
        byte = part[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise OutsideError(DAMAGED)


def _varint(value: int) -> bytes:
    """Encode a whole number of 0 or more.

    >>> _varint(300).hex()
    'ac02'
    """
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))
