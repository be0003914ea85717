"""A U-Net small enough for two processor cores: it works on pixels folded into channels."""

import itertools
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

FOLD = 2
"""Pixels per side that are folded into channels: full resolution costs four times as much [1]."""


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions beside a direct path, the second of which starts at zero."""

    def __init__(self, n_in: int, n_out: int) -> None:
        """Build a block from `n_in` to `n_out` channels."""
        super().__init__()
        self.norm = nn.GroupNorm(_groups(n_in), n_in)
        self.first = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.direct = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus what the convolutions add, shape (n, n_out, h, w)."""
        inner = functional.silu(self.first(functional.silu(self.norm(x))))
        out: Tensor = self.direct(x) + self.second(inner)
        return out


class SmallUNet(nn.Module):
    """Images in, images of the same size out; starts as zero everywhere."""

    def __init__(self, n_in: int, n_out: int, widths: Sequence[int]) -> None:
        """Build the net.

        Parameters
        ----------
        n_in, n_out : int
            Channels of the images given and returned.
        widths : sequence of int
            Channels of each scale, the finest (half resolution) first.
        """
        super().__init__()
        self.stem = nn.Conv2d(n_in * FOLD**2, widths[0], 3, padding=1)
        self.down = nn.ModuleList(ResidualBlock(width, width) for width in widths)
        self.coarser = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in itertools.pairwise(widths)
        )
        self.finer = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in itertools.pairwise(widths)
        )
        self.up = nn.ModuleList(ResidualBlock(width, width) for width in widths)
        self.norm = nn.GroupNorm(_groups(widths[0]), widths[0])
        self.head = nn.Conv2d(widths[0], n_out * FOLD**2, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return images of shape (n, n_out, h, w) for x of shape (n, n_in, h, w), any h and w."""
        height, width = x.shape[-2:]
        multiple = FOLD * 2 ** len(self.coarser)
        padding = (0, -width % multiple, 0, -height % multiple)
        x = functional.pad(x, padding, mode="replicate")
        x = self.stem(functional.pixel_unshuffle(x, FOLD))
        passed: list[Tensor] = []
        for k, block in enumerate(self.down):
            x = block(x)
            if k < len(self.coarser):
                passed.append(x)
                x = self.coarser[k](x)
        x = self.up[-1](x)
        for k in reversed(range(len(self.finer))):
            x = functional.interpolate(self.finer[k](x), scale_factor=2, mode="nearest")
            x = self.up[k](x + passed[k])
        x = self.head(functional.silu(self.norm(x)))
        return functional.pixel_shuffle(x, FOLD)[..., :height, :width]


def _groups(width: int) -> int:
    """Channels are normalised in groups of eight, or all together where they are fewer."""
    return max(width // 8, 1)
