import torch
from conftest import texture

from vidstyle.lab.distill.pastiches import PastichePool
from vidstyle.settings import VideoSettings


def pastiche_pool(seed):
    contents, styles = (torch.stack([texture(32, 32, seed=s) for s in (seed + k, seed + k + 1)]) for k in (0, 10))
    return PastichePool.initial(contents, styles, torch.tensor([0.0, 1.0]))


def test_pastiches_are_carried_on_and_the_rest_stays(tiny_network):
    before = pastiche_pool(1)
    after = before.carried_on(tiny_network, VideoSettings(iterations=6, tolerance=0, device="cpu"))
    assert torch.equal(after.contents, before.contents)
    assert not torch.equal(after.pastiches[0], before.pastiches[0])
    assert torch.allclose(after.pastiches[1], before.contents[1], atol=1e-3)  # alpha 1: the content is what is wanted
    layer = "relu3_1"

    def gram(image):
        f = tiny_network(image[None], [layer])[layer][0].flatten(1)
        return f @ f.T / f.shape[1]

    errors = [(gram(e.pastiches[0]) - gram(e.styles[0])).norm() for e in (before, after)]
    assert errors[1] < errors[0]


def test_chosen_pastiches_are_renewed():
    old, new = pastiche_pool(1), pastiche_pool(5)
    mixed = old.renewed(
        torch.tensor([False, True]), PastichePool(**{name: value[:1] for name, value in vars(new).items()})
    )
    assert torch.equal(mixed.pastiches[0], old.pastiches[0])
    for name, value in vars(mixed).items():
        assert torch.equal(value[1], getattr(new, name)[0])
