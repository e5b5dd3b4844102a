"""A small convolutional network for grey images of 8x8 to 28x28 pixels."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from lsp_core.models.normalize import Normalize
from lsp_core.types import Classifier


class SmallCNN(Classifier):
    """Four convolutions, two of them of stride 2, and an embedding of 128 numbers.

    No batch norm: an image's logits never depend on what else is in the batch, in training either.
    """

    def __init__(self, image_shape: tuple[int, int, int], classes: int, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        channels, height, width = image_shape
        height, width = (height + 3) // 4, (width + 3) // 4
        self.normalize = Normalize(mean, std)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * height * width, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, classes)

    def features(self, images: Tensor) -> Tensor:
        """Return the embedding (N,128) of images (N,C,H,W) in [0,1]."""
        embedding: Tensor = self.body(self.normalize(images))
        return embedding
