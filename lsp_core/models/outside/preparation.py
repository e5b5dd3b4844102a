"""What a model from outside may want done to images in [0,1] first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Order = Literal["RGB", "BGR"]
Layout = Literal["NCHW", "NHWC"]
Numbers = tuple[float, ...]
IMAGENET: tuple[Numbers, Numbers] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BYTE = 1 / 255
# From what is wanted in nine cases of ten; of several that do equally well, the first is proposed.
SCALES: dict[str, tuple[Numbers, Numbers]] = {
    "unit": ((0.0,) * 3, (1.0,) * 3),  # [0,1] as it is
    "imagenet": IMAGENET,
    "bytes": ((0.0,) * 3, (BYTE,) * 3),  # 0 to 255
    "signed": ((0.5,) * 3, (0.5,) * 3),  # [-1,1]
    "caffe": (IMAGENET[0], (BYTE,) * 3),  # 0 to 255, less ImageNet's mean
}
COLOURED = ("imagenet", "caffe")  # numbers of colours, which grey images have none of


@dataclass(frozen=True)
class Preparation:
    """Subtract ``mean``, divide by ``std`` (a number a channel, R first), then bring channels and axes into order."""

    name: str
    mean: Numbers
    std: Numbers
    order: Order = "RGB"
    layout: Layout = "NCHW"


class Arrange(nn.Module):
    """Bring channels and axes of normalised images (N,C,H,W) into the order that a model wants."""

    def __init__(self, order: Order, layout: Layout):
        super().__init__()
        self.order, self.layout = order, layout

    def forward(self, images: Tensor) -> Tensor:
        """Arrange images."""
        images = images.flip(1) if self.order == "BGR" else images
        return images.permute(0, 2, 3, 1) if self.layout == "NHWC" else images


def arranged(shape: tuple[int, int, int], layout: Layout) -> tuple[int, int, int]:
    """Return the shape of an image (C,H,W) as a model of that layout sees it."""
    return shape if layout == "NCHW" else (shape[1], shape[2], shape[0])


def preparations(images: Tensor, layouts: Iterable[Layout]) -> dict[str, Preparation]:
    """Return by name all that may be wanted of such images (N,C,H,W) in [0,1], ``data`` by their own mean and spread.

    >>> list(preparations(Tensor(2, 1, 4, 4).fill_(0.5), ["NCHW"]))
    ['unit', 'bytes', 'signed', 'data']
    """
    colours = images.shape[1]
    scales = {name: scale for name, scale in SCALES.items() if colours == 3 or name not in COLOURED}
    over = (0, 2, 3)
    own = tuple(images.mean(over).tolist()), tuple(images.std(over).clamp(min=BYTE).tolist())
    orders: list[Order] = ["RGB", "BGR"] if colours == 3 else ["RGB"]
    found = {}
    for layout in layouts:
        for order in orders:
            for scale, (mean, std) in {**scales, "data": own}.items():
                parts = (scale, "" if order == "RGB" else "bgr", "" if layout == "NCHW" else "nhwc")
                name = "-".join(part for part in parts if part)
                found[name] = Preparation(name, mean[:colours], std[:colours], order, layout)
    return found
