"""Colour transfer: linear maps of colours between pictures, and the luminance transfer that preserves colours.

Gatys, Bethge, Hertzmann, Shechtman 2016, "Preserving Color in Neural Artistic Style Transfer",
https://arxiv.org/abs/1606.05897. All pictures are (3, H, W) float sRGB in [0, 1]; nothing waits for the device.
Maps of `transfer` are computed on the CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidstyle.core.stylemetrics import covariance

LUMINANCE = (0.2126, 0.7152, 0.0722)  # BT.709
RIDGE = 1e-5  # variance, below that of 8-bit rounding: keeps the colours of a grey or plain picture invertible
MOST_CONTRAST = 3.0  # times that of the source: more would show the noise of a plain picture
LEAST_DEVIATION = 0.05  # of grey values, that a target without contrast is taken to have: shapes are to stay visible


def match_statistics(image: Tensor, source: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Recolour `image` by the linear map that gives `source` the mean and covariance of `target`, clamped to [0, 1].

    Args:
        image: the picture to recolour; often `source` itself.
        source, target: two pictures of the same size if a weight is given, of any size otherwise.
        weight: (1, H, W), how much each pixel of `source` and `target` counts; None counts all alike. Where it is zero
            everywhere, `image` comes back as it is.
    """
    if source.shape == target.shape:
        means, roots = _statistics(torch.stack([source, target]), weight)
    else:
        both = [_statistics(one[None], weight) for one in (source, target)]
        means, roots = (torch.cat(parts) for parts in zip(*both, strict=True))
    (source_mean, target_mean), (source_root, target_root) = means.unbind(), roots.unbind()
    # A = L_t L_s^-1, the paper's Cholesky variant: A Cov_s A^T = Cov_t, and the identity where they are equal.
    matrix = torch.linalg.solve_triangular(source_root, target_root, upper=False, left=False)
    recoloured: Tensor = matrix @ (image.flatten(1) - source_mean) + target_mean
    return recoloured.view_as(image).clamp(0, 1)


def transfer(source: Tensor, target: Tensor) -> Tensor:
    """The affine map of colours, (3, 4), that gives the source the target's mean and covariance and moves them least.

    The optimal transport of Gaussians, T = S^-1/2 (S^1/2 C S^1/2)^1/2 S^-1/2 for covariances S and C (Pitie and Kokaram
    2007, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer"), stretched no
    further than `MOST_CONTRAST`.

    Args:
        source, target: `stylemetrics.moments` of colours, (3, 4), on the CPU.
    """
    source, target = source.double(), target.double()
    ridge, grey = RIDGE * torch.eye(3).double(), LEAST_DEVIATION**2 * torch.ones(3, 3).double()
    values, vectors = torch.linalg.eigh(covariance(source) + ridge)
    root, inverse = ((vectors * values.clamp_min(RIDGE) ** power) @ vectors.T for power in (0.5, -0.5))
    product = root @ (covariance(target) + ridge + grey) @ root
    values, vectors = torch.linalg.eigh(product)
    values, vectors = torch.linalg.eigh(inverse @ (vectors * values.clamp_min(0).sqrt()) @ vectors.T @ inverse)
    matrix = (vectors * values.clamp(0, MOST_CONTRAST)) @ vectors.T
    return torch.cat([matrix, (target[:, -1] - matrix @ source[:, -1])[:, None]], dim=1).float()


def recolored(image: Tensor, colors: Tensor, share: float) -> Tensor:
    """The image blended with its colours mapped by `transfer`, by `share` (0 to 1), clamped to [0, 1]."""
    if share == 0:
        return image
    colors = colors.to(image.device)
    found = (colors[:, :-1] @ image.flatten(1) + colors[:, -1:]).view_as(image).clamp(0, 1)
    return torch.lerp(image, found, share)


def preserve_color(pastiche: Tensor, content: Tensor, share: float) -> Tensor:
    """The pastiche's luminance with colour differences blended towards the content's by `share`, clamped to [0, 1]."""
    if share == 0:
        return pastiche
    luminance = pastiche.new_tensor(LUMINANCE).view(3, 1, 1)
    painted, real = ((luminance * picture).sum(0, keepdim=True) for picture in (pastiche, content))
    difference = torch.lerp(pastiche - painted, content - real, share)
    return (painted + difference).clamp(0, 1)


def shown(pastiche: Tensor, content: Tensor, preserved: float, mask: Tensor | None) -> Tensor:
    """What is shown of a frame: its pastiche as `preserve_color` gives it, and the content outside its mask.

    Args:
        mask: (1, H, W) in [0, 1], by which the two are blended; None for the pastiche alone.
    """
    painted = preserve_color(pastiche, content, preserved)
    return painted if mask is None else torch.lerp(content, painted, mask.to(content.device))


def _statistics(images: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean colours of (N, 3, H, W), (N, 3, 1), and the Cholesky roots of the covariances of colours, (N, 3, 3)."""
    pixels = images.flatten(2)  # (N, 3, H W)
    share = torch.ones_like(pixels[0, :1]) if weight is None else weight.flatten(1)
    share = share / share.sum().clamp(min=1e-6)
    mean = (pixels * share).sum(2, keepdim=True)
    centred = pixels - mean
    ridge = RIDGE * torch.eye(3, dtype=pixels.dtype, device=pixels.device)
    roots, _ = torch.linalg.cholesky_ex(torch.baddbmm(ridge, centred * share, centred.mT))
    return mean, roots
