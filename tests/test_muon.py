import pytest
import torch
from torch import nn

from vidstyle.lab.distill.muon import Muon, orthogonalised


def test_singular_values_are_brought_near_one():
    generator = torch.Generator().manual_seed(0)
    for shape in ((16, 27), (80, 40), (64, 64)):
        found = torch.linalg.svdvals(orthogonalised(torch.randn(shape, generator=generator)))
        assert found.max() < 1.3
        assert found.median() > 0.6


def test_a_step_is_a_share_of_the_weights_own_length():
    for scale in (0.01, 100.0):
        weight = nn.Parameter(scale * torch.randn(8, 27, generator=torch.Generator().manual_seed(0)))
        weight.grad = torch.randn(8, 27, generator=torch.Generator().manual_seed(1))
        before = weight.detach().clone()
        Muon([weight], lr=0.02).step()
        assert float((weight.detach() - before).norm() / before.norm()) == pytest.approx(0.02, rel=1e-3)


def test_learns_a_convolution():
    torch.manual_seed(0)
    target, learnt = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
    optimizer = Muon([learnt.weight], lr=0.05)
    losses = []
    for step in range(150):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 150)
        images = torch.randn(8, 3, 8, 8)
        found, wanted = (layer(images) - layer.bias.view(-1, 1, 1) for layer in (learnt, target))
        loss = (found - wanted).square().mean()
        learnt.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.01 * losses[0]
