"""A small convolutional network for grey images of 8x8 to 28x28 pixels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lsp_core.models.normalize import Normalize
from lsp_core.types import Classifier


class SmallCNN(Classifier):
    """Four convolutions, each with batch norm and ReLU, two of them of stride 2, and an embedding of 128 numbers."""

    def __init__(self, image_shape: tuple[int, int, int], classes: int, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        channels, height, width = image_shape
        down, across = (height + 3) // 4, (width + 3) // 4
        self.normalize = Normalize(mean, std)
        layers: list[nn.Module] = []
        for filters, stride in ((32, 1), (32, 2), (64, 1), (64, 2)):
            layers.append(nn.Conv2d(channels, filters, 3, stride, padding=1, bias=False))
            layers += [nn.BatchNorm2d(filters), nn.ReLU()]
            channels = filters
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * down * across, 128), nn.ReLU())
        self.head = nn.Linear(128, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return the embedding (N,128) of images (N,C,H,W) in [0,1]."""
        embedding: Tensor = self.body(self.normalize(images))
        return embedding
