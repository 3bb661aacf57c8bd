"""What a frame's painting promises when the optimisation goes wrong."""

import pytest
import torch

from vidstyle.core import networks
from vidstyle.core.color import preserve_color
from vidstyle.core.optimizers import OPTIMIZERS
from vidstyle.core.stylizer import Stylizer, scales, to_pixels
from vidstyle.errors import DivergedError
from vidstyle.settings import VideoSettings
from vidstyle.types import Budget, Frame, Motion


class Poisoned(networks.FeatureNetwork):
    """Finite features whose gradient is not a number, the first `times` times that it is asked for."""

    times = 10**9

    def poison(self, gradient):
        self.times -= 1
        return gradient * float("nan") if self.times >= 0 else gradient

    def tapped(self, *args, **how):
        seen = super().tapped(*args, **how)
        for tensor in seen:
            if tensor.requires_grad:
                tensor.register_hook(self.poison)
        return seen


def poisoned(tiny_network, times):
    network = Poisoned(tiny_network.blocks)
    network.load_state_dict(tiny_network.state_dict())
    network.requires_grad_(False).times = times
    return network


@pytest.mark.parametrize("method", list(OPTIMIZERS))
def test_gradients_that_are_no_numbers_are_told_not_painted_over(tiny_network, picture, style, method):
    settings = VideoSettings(device="cpu", optimizer=method, first_iterations=12)
    stylizer = Stylizer(poisoned(tiny_network, 10**9), [style], settings)
    with pytest.raises(DivergedError, match="frame 7"):
        stylizer.step(Frame(7, picture, None, 0.3, (1.0,)), None)


def test_a_second_attempt_is_made(tiny_network, picture, style):
    settings = VideoSettings(device="cpu", optimizer="adam", first_iterations=12)
    stylizer = Stylizer(poisoned(tiny_network, 6), [style], settings)
    result, state = stylizer.step(Frame(0, picture, None, 0.3, (1.0,)), None)
    assert torch.isfinite(state.pastiche).all()
    assert result.losses["style"] < 1


def test_scales_double_up_to_the_size():
    assert scales((288, 512)) == [(72, 128), (144, 256), (288, 512)]
    assert scales((40, 50)) == [(40, 50)]


def walk(network, style, pictures, kind=Stylizer, **changes):
    """The pastiches of a clip that stands still while its content and alpha change; one still at the end."""
    settings = VideoSettings(iterations=6, first_iterations=8, **changes)
    stylizer, state, results = kind(network, [style], settings), None, []
    size = pictures[0].shape[1:]
    still = Motion(torch.zeros(2, *size), torch.ones(1, *size))
    for index, image in enumerate(pictures):
        frame = Frame(index, image, still if index else None, 0.2 + 0.1 * index, (1.0,), temporal_weight=0.5)
        result, state = stylizer.step(frame, state)
        results.append(result.image)
    results.append(stylizer.step(Frame(0, pictures[-1], None, 0.3, (1.0,)), None)[0].image)
    return results


def test_a_canvas_forgets_the_frame_before(tiny_network, picture, style):
    """Whatever was painted on it, a still comes out as on a new one."""
    pictures = [picture, picture.flip(2), picture.flip(1)]
    last = walk(tiny_network, style, pictures, device="cpu")[-1]
    (*_, alone) = walk(tiny_network, style, pictures[-1:], device="cpu")
    assert (last == alone).all()


@pytest.mark.cuda
def test_a_recorded_iteration_is_the_plain_one(picture, style):
    pictures = [picture, picture.flip(2), picture.flip(1), picture, picture.flip(2)]
    plain, recorded = (
        walk(networks.compact(), style, pictures, device="cuda", cuda_graphs=graphs) for graphs in (False, True)
    )
    assert all((one == other).all() for one, other in zip(plain, recorded, strict=True))


def test_a_frame_that_did_not_change_costs_little(tiny_network, picture, style):
    settings = VideoSettings(device="cpu", first_iterations=150, iterations=60)
    stylizer = Stylizer(tiny_network, [style], settings)
    _, state = stylizer.step(Frame(0, picture, None, 0.3, (1.0,)), None)
    still = Motion(torch.zeros(2, 72, 96), torch.ones(1, 72, 96))
    counts = []
    for index in (1, 2, 3):
        result, state = stylizer.step(Frame(index, picture, still, 0.3, (1.0,), temporal_weight=1.0), state)
        counts.append(result.iterations)
    assert counts[-1] <= 10


@pytest.mark.cuda
@pytest.mark.parametrize("changes", [{"low_memory": True}, {"optimizer": "adam"}, {"precision": "bfloat16"}])
def test_stylizers_beside_and_after_each_other_do_not_disturb_recordings(picture, changes):
    huge = torch.rand(3, 6000, 900, generator=torch.Generator().manual_seed(0))  # shrunk a hundredfold
    network = networks.compact()
    frames = [Frame(index, picture, None, 0.3, (1.0,)) for index in range(4)]
    settings = VideoSettings(device="cuda", first_iterations=6, precision="float32")
    first = Stylizer(network, [huge], settings)
    expected = first.step(frames[0], None)[0].image
    other = Stylizer(networks.compact(), [huge], VideoSettings(device="cuda", first_iterations=6, **changes))
    for frame in frames:
        assert (first.step(frame, None)[0].image == expected).all()
        other.step(frame, None)
    del other
    assert (first.step(frames[0], None)[0].image == expected).all()


def painted_states(network, style, frames, **changes):
    """The states after frames painted one after the other."""
    stylizer, states = Stylizer(network, [style], VideoSettings(device="cpu", first_iterations=3, **changes)), [None]
    for frame in frames:
        states.append(stylizer.step(frame, states[-1])[1])
    return states[1:]


def shot(*pictures, cut=()):
    """Frames of a still camera; those of `cut` begin a shot."""
    size = pictures[0].shape[1:]
    still = Motion(torch.zeros(2, *size), torch.ones(1, *size))
    begins = {0, *cut}
    return [Frame(n, one, None if n in begins else still, 0.3, (1.0,)) for n, one in enumerate(pictures)]


def test_a_shot_keeps_the_map_of_its_colours(tiny_network, picture, style):
    """What gets darker is recoloured as darker content: only a cut, or more contrast, makes a new map."""
    frames = shot(picture, picture * 0.5, picture * 0.5, cut=(2,))
    one, two, cut = painted_states(tiny_network, style, frames)
    assert torch.equal(one.colors, two.colors) and not torch.equal(two.colors, cut.colors)
    assert all(state.colors is None for state in painted_states(tiny_network, style, frames, recolor=0, match_colors=0))


def test_the_frames_of_a_shot_have_one_map_that_matches_colours(tiny_network, picture, style):
    frames = shot(picture, 0.9 * picture, 0.5 * picture, cut=(2,))
    maps = [state.color_maps for state in painted_states(tiny_network, style, frames, match_colors=0.5)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[1], maps[2])
    grown = painted_states(tiny_network, style, shot(0.2 * picture, picture), match_colors=0.5)
    assert not torch.equal(grown[0].color_maps, grown[1].color_maps)  # what fades in is not mapped from black
    assert all(state.color_maps is None for state in painted_states(tiny_network, style, frames, match_colors=0))


def test_what_fades_in_is_not_mapped_from_black(tiny_network, picture, style):
    """The map of a black picture would turn all that comes after it white."""
    frames = shot(*(picture * share for share in (0.0, 0.02, 0.3, 1.0)))
    (*_, last) = painted_states(tiny_network, style, frames, iterations=1)
    (alone,) = painted_states(tiny_network, style, shot(picture))
    assert torch.equal(last.colors, alone.colors)
    stylizer = Stylizer(tiny_network, [style], VideoSettings(device="cpu"))
    recoloured = stylizer.colors.recolored(frames[-1], last)[0].image
    assert float(((recoloured <= 0) | (recoloured >= 1)).float().mean()) < 0.2


def test_a_frame_that_is_not_painted_keeps_its_colours(tiny_network, picture, style):
    """A timelapse begins with the photograph itself."""
    (state,) = painted_states(tiny_network, style, [Frame(0, picture, None, 0.3, (1.0,), budget=Budget(1, 0.0))])
    assert torch.equal(state.pastiche, picture)


def test_recolouring_ends_where_alpha_is_one(tiny_network, picture, style):
    (state,) = painted_states(tiny_network, style, [Frame(0, picture, None, 1.0, (1.0,))])
    assert torch.equal(state.pastiche, picture)
    # All else being content, the nearer alpha is to 1, the nearer are the colours to the photograph's.
    away = []
    for alpha in (0.5, 0.9, 0.98):
        frame = Frame(0, picture, None, alpha, (1.0,))
        (state,) = painted_states(tiny_network, torch.zeros_like(style), [frame], content_layers=("relu1_1",))
        away.append(float((state.pastiche - picture).abs().mean()))
    assert away[0] > away[1] > away[2]
    assert away[0] > 0.3 > away[2]  # without recolouring it would be far less


def test_a_mix_is_recoloured_with_the_mixed_colours(tiny_network, picture):
    dark, light = torch.full((3, 40, 40), 0.4), torch.full((3, 40, 40), 0.6)
    stylizer = Stylizer(
        tiny_network, [dark, light], VideoSettings(device="cpu", first_iterations=1, coarse_to_fine=False)
    )
    means = []
    for share in (0.2, 0.5, 0.8):
        _, state = stylizer.step(Frame(0, picture, None, 0.3, (1 - share, share)), None)
        means.append(float(state.pastiche.mean()))  # one evaluation: the start, which is the recoloured content
    assert means == pytest.approx([0.44, 0.5, 0.56], abs=0.01)


def test_kept_colours_are_the_photographs_own(tiny_network, picture, style):
    stylizer = Stylizer(tiny_network, [style], VideoSettings(device="cpu", first_iterations=2, match_colors=0))
    frame = Frame(0, picture, None, 0.3, (1.0,), preserve_color=1.0)
    result, state = stylizer.step(frame, None)
    assert (result.image == to_pixels(preserve_color(state.pastiche, picture, 1.0))).all()


def test_a_frame_is_seen_as_it_grows_and_is_painted_alike(tiny_network, picture, style):
    plain = walk(tiny_network, style, [picture, picture.flip(2)], device="cpu", preserve_color=0.5)
    seen = []
    original = Stylizer.step

    class Watched(Stylizer):
        def step(self, frame, state):
            self.on_growth = lambda make: seen.append((frame.index, make()))
            return original(self, frame, state)

    watched = walk(tiny_network, style, [picture, picture.flip(2)], device="cpu", preserve_color=0.5, kind=Watched)
    for one, other in zip(plain, watched, strict=True):
        assert (one == other).all()
    assert {index for index, _ in seen} == {0, 1} and all(image.shape == plain[0].shape for _, image in seen)
    first = [image for index, image in seen if index == 0][:7]  # of 8 evaluations; the last still comes later
    away = [abs(image.astype(int) - plain[0]).mean() for image in first]
    assert away[-1] < 1 and away[-1] < away[0]
