"""Points in few digits: how far apart one matrix product says that they are, and how wrong it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

EDGE = 32  # rows are filled up to a multiple of it
NOWHERE = -1e30  # stands for what is filled up: nearer to nothing than any point
HALF_ULP = {torch.bfloat16: 2.0**-9}  # by which a product is rounded when it is stored; wider ones are not
UNDERFLOW = 2.0**-120  # far above what numbers near 1 lose below the smallest float
CHUNK = 2048
SHORTENED = 2.0**-9  # thrice this share of sizes: both factors cut to bfloat16 or, less bad, to TF32


@dataclass(frozen=True)
class Frame:
    """What is taken from points before they are rounded, so that the numbers, and with them the errors, are small.

    Attributes:
        centre: (D,), to be subtracted.
        reach: no two coordinates are farther apart.
        scale: a power of two, which rounds nothing; it brings the largest number to 1 or below.
    """

    centre: Tensor
    reach: float
    scale: float

    @classmethod
    def of(cls, points: Tensor, asked: Tensor) -> Frame:
        """Return the frame of points (N,D), for them and for what is asked (M,D).

        Raises:
            ValueError: if not all are finite.
        """
        bounds = [bound.double() for group in {points, asked} if group.numel() for bound in group.aminmax()]
        low, high = (float(bound) for bound in torch.stack(bounds).aminmax()) if bounds else (0.0, 0.0)
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("points or queries are not all finite, so nothing is near them.")
        exponent = max(-1000, min(math.frexp(high - low)[1], 1000))
        # The sum of large numbers may overflow; then any other centre is as right.
        return cls(points.mean(0).nan_to_num(0.0, 0.0, 0.0), high - low, 2.0**-exponent)


@dataclass
class Rough:
    """Points rounded to a precision, each with half its squared norm h, so that one product gives their distances.

    (x, s-h(x), 1) times (y, 1, s-h(y)) is 2s minus half the squared distance of the rounded points x and y: the nearer
    the larger. A stored product is rounded by a share of itself, so 2s is best half the squared distance that matters.

    Attributes:
        factors: (N',D+2p) right factors, of N points and of what fills up to a multiple of 32.
        lost: (N') by how much rounding moved each point, at most.
        half: (N') h.
        count: N.
        frame: that the points were moved into.
        parts: p, numbers that s-h is written in.
        lift: 2s.
    """

    factors: Tensor
    lost: Tensor
    half: Tensor
    count: int
    frame: Frame
    parts: int
    lift: float = 0.0

    @classmethod
    def of(cls, points: Tensor, frame: Frame, dtype: torch.dtype) -> Rough:
        """Round points (N,D)."""
        count, dimensions = points.shape
        wide = torch.promote_types(points.dtype, dtype)
        parts = 3 if torch.finfo(dtype).bits == 16 else 1  # three times the 8 bits of bfloat16 are float32's 24
        filled = -(-count // EDGE) * EDGE
        factors = points.new_zeros(filled, dimensions + 2 * parts, dtype=dtype)
        lost, half = (points.new_zeros(filled, dtype=wide) for _ in range(2))
        centre, unit = frame.centre.to(wide), torch.finfo(wide).eps
        for start in range(0, count, CHUNK):
            rows = slice(start, min(start + CHUNK, count))
            moved = points[rows].to(wide).sub(centre).mul_(frame.scale)
            factors[rows, :dimensions] = moved
            rounded = factors[rows, :dimensions].to(wide)
            half[rows] = torch.linalg.vecdot(rounded, rounded) / 2
            # The subtraction, too, has rounded, and so has the sum of squares.
            spent = moved.sub_(rounded).norm(dim=1) * (1 + dimensions * unit)
            lost[rows] = spent + unit * ((2 * half[rows]).sqrt() + spent)
        factors[:, dimensions : dimensions + parts] = 1
        made = cls(factors, lost, half, count, frame, parts)
        made.raise_to(0.0)
        return made

    def raise_to(self, lift: float) -> None:
        """Set 2s."""
        self.lift, rest = lift, lift / 2 - self.half
        for place in range(-self.parts, 0):
            self.factors[:, place] = rest
            rest = rest - self.factors[:, place].to(rest.dtype)
        self.factors[self.count :, -1] = NOWHERE

    def take(self, rows: Tensor) -> Rough:
        """Return some points (n,) alone."""
        filled = torch.cat([rows, rows.new_zeros(-len(rows) % EDGE)])
        factors, lost, half = self.factors[filled], self.lost[filled], self.half[filled]
        return Rough(factors, lost, half, len(rows), self.frame, self.parts, self.lift)

    def left(self, rows: slice | Tensor) -> Tensor:
        """Return the left factors of some points."""
        plain, ones, halves = self.factors[rows].tensor_split((-2 * self.parts, -self.parts), dim=1)
        return torch.cat([plain, halves, ones], 1)


class Bar:
    """The least product that a pair can have, given a row's k-th largest, if it is one of the k nearest as measured.

    By what a row's k nearest, by their products, can be apart at most, a k-th distance is bounded from above; and
    from below the product of a pair that is measured to be no farther. Every rounding on the way is in it:

    - a rounded point is off by what it lost, and the distance of two by the sum (triangle inequality);
    - a product of K terms is off by K roundings of the sum of its terms' sizes, here at most 2 (h(x) + h(y)) + 2s, in
      whatever order they are summed (Higham 2002, section 3.1), for which every rounding is counted twice;
    - it is stored with half a unit in its last place;
    - the distance that is measured is itself off by D roundings, and by what underflows.

    What the other point has lost, and its h, are the largest there are or what a point so near can have, if that is
    less: one point that lies far off does not blur the others.
    """

    def __init__(self, left: Rough, right: Rough, measured: torch.dtype):
        stored, terms = right.factors.dtype, right.factors.shape[1]
        kept = torch.promote_types(stored, torch.float32)
        about, unit = torch.finfo(measured), torch.finfo(kept).eps
        self.half, self.lost = left.half.to(kept)[:, None], left.lost.to(kept)[:, None]
        self.length, self.lift = (2 * self.half).sqrt(), right.lift
        lost, lengths = right.lost[: right.count].to(kept), (2 * right.half[: right.count]).to(kept).sqrt()
        self.most_lost, self.most_half = lost.amax(), lengths.amax().square() / 2
        self.share = 1.02 * (lost / (lengths + UNDERFLOW)).amax()  # that is lost of a length
        self.each = 6 * ((terms + 16) * unit + (SHORTENED if stored == torch.float32 and _shortened() else 0.0))
        self.underflow, self.unit = UNDERFLOW * terms, 16 * unit
        self.stored = HALF_ULP.get(stored, 0.0) * (1 + 2.0**-7)
        self.relative, self.absolute = 2 * (terms + 16) * about.eps, 2 * right.frame.scale * (terms * about.tiny) ** 0.5

    def __call__(self, kth: Tensor, rows: slice) -> Tensor:
        """Return the bars (n,1) of some rows from their k-th largest products (n,1)."""
        half, length, lost = self.half[rows], self.length[rows], self.lost[rows]
        squared = 2 * (self.lift - kth + self.stored * kth.abs()) + self.underflow
        near = (squared + self.each * (3 * half + self.lift)) / (1 - self.each)  # h(y) is at most 2 h(x) + distance²
        squared = torch.minimum(squared + self.each * (half + self.most_half + self.lift), near)
        reach = squared.clamp_min(0).sqrt()
        reach = reach + lost + self._lost(length + reach)
        reach = reach * (1 + self.relative) + self.absolute
        reach = (reach + lost + self._lost(length + lost + reach)) * (1 + self.unit)
        other = torch.minimum(self.most_half, (length + reach).square() / 2)
        squared = reach.square() + self.each * (half + other + self.lift) + self.underflow
        bar = self.lift - squared / 2
        bar = bar - self.stored * bar.abs() - self.unit * (bar.abs() + self.lift)
        return torch.where(kth.isinf(), kth, bar)  # as long as fewer than k are known

    def _lost(self, length: Tensor) -> Tensor:
        """Return what a point of some length has lost, at most."""
        return torch.minimum(self.most_lost, self.share * length)


def _shortened() -> bool:
    """Whether the person has allowed products of float32 to be made in fewer digits."""
    try:
        return torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:  # it was set for one backend alone, where this cannot tell
        return True
