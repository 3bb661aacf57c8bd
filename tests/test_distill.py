"""The distiller, with a teacher small enough to train a student on in a second."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

import vidstyle
from vidstyle.core.networks import FeatureNetwork, compact
from vidstyle.errors import JobError, MediaError, UsageError
from vidstyle.lab.distill import __main__ as distill
from vidstyle.lab.distill.crops import disturbed_crop, load_pictures
from vidstyle.lab.distill.distiller import LAYERS as ALL_LAYERS
from vidstyle.lab.distill.distiller import Distiller, train
from vidstyle.lab.distill.recipe import Recipe

LAYERS = ("relu1_1", "relu2_1")
RECIPE = Recipe(
    blocks=((6, 6), (10,)),
    steps=36,
    apprenticeship=0.2,
    stages=0.2,
    crop=24,
    batch=2,
    pool=3,
    pastiches=2,
    repeats=2,
    paint=2,
    device="cpu",
    precision="float32",
)


def small_pictures() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (8, 6, 6, 3), dtype=np.uint8)
    return [cv2.resize(image, (48, 40), interpolation=cv2.INTER_CUBIC) for image in coarse]


def small_distiller(recipe: Recipe = RECIPE) -> Distiller:
    torch.manual_seed(0)  # the teacher's weights; the distiller itself draws from its own generator
    teacher = FeatureNetwork(((8, 8), (12,)))
    return Distiller(teacher, small_pictures(), recipe, layers=LAYERS, content="relu2_1", helpers=("relu1_2",))


def silent(distiller: Distiller, loss: float) -> None:
    pass


@pytest.mark.slow
def test_learns_and_predicts_held_out_pictures(tmp_path: Path) -> None:
    distiller = small_distiller(dataclasses.replace(RECIPE, steps=240))
    before = distiller.validate(side=32)
    train(distiller, tmp_path / "run.checkpoint", on_round=silent)
    after = distiller.validate(side=32)
    assert distiller.step == 240
    assert distiller.phase == 2
    for layer in LAYERS:
        assert after[layer][0] < 0.75 * before[layer][0]
        assert after[layer][1] < 0.6 * before[layer][1]


@pytest.mark.parametrize("halt", [1, 12, 20, 30])  # an apprentice, at the turn, in stages, on its own
def test_resumed_run_ends_with_the_same_bits(tmp_path: Path, halt: int) -> None:
    straight = small_distiller()
    train(straight, tmp_path / "straight.checkpoint", on_round=silent)

    class Interrupted(Exception):
        pass

    def interrupt(distiller: Distiller, loss: float) -> None:
        if distiller.step >= halt:
            raise Interrupted

    checkpoint = tmp_path / "halted.checkpoint"
    with pytest.raises(Interrupted):
        train(small_distiller(), checkpoint, save_every=1, on_round=interrupt)
    resumed = small_distiller()
    train(resumed, checkpoint, save_every=1, on_round=silent)
    assert resumed.step == straight.step == 36
    for module in ("student", "average"):
        wanted, got = getattr(straight, module).state_dict(), getattr(resumed, module).state_dict()
        assert all(torch.equal(wanted[key], got[key]) for key in wanted)
    assert torch.equal(straight.pastiche_pool.pastiches, resumed.pastiche_pool.pastiches)
    assert torch.equal(straight.generator.get_state(), resumed.generator.get_state())


def test_finished_run_is_left_alone_and_can_be_prolonged(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.checkpoint"
    train(small_distiller(), checkpoint, on_round=silent)
    again = small_distiller()
    train(again, checkpoint, on_round=lambda *_: pytest.fail("the run was over"))
    assert again.step == 36
    much = small_distiller(dataclasses.replace(RECIPE, steps=1000))  # by its steps it would be an apprentice again
    much.load(checkpoint)
    much.round()
    assert much.phase == 2
    assert much.student.joined
    longer = small_distiller(dataclasses.replace(RECIPE, steps=48))
    train(longer, checkpoint, on_round=silent)
    assert longer.step == 48


def test_goes_on_from_an_exported_network(tmp_path: Path) -> None:
    first = small_distiller()
    train(first, tmp_path / "first.checkpoint", on_round=silent)
    first.export(tmp_path / "first.safetensors")
    second = small_distiller()
    second.begin_with(compact(tmp_path / "first.safetensors"))
    for layer, (error, _) in second.validate(side=32).items():
        assert error == pytest.approx(first.validate(side=32)[layer][0], rel=0.3)
    second.round()
    assert second.student.joined
    with pytest.raises(UsageError, match="--blocks 6,6/10"):
        small_distiller(dataclasses.replace(RECIPE, blocks=((6, 7), (10,)))).begin_with(
            compact(tmp_path / "first.safetensors")
        )


def test_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    small_distiller().save(tmp_path / "run.checkpoint")
    with pytest.raises(JobError, match="another recipe"):
        small_distiller(dataclasses.replace(RECIPE, lr=1e-3)).load(tmp_path / "run.checkpoint")


def test_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.checkpoint").write_bytes(b"not a checkpoint")
    with pytest.raises(JobError, match="cannot be read"):
        small_distiller().load(tmp_path / "run.checkpoint")


@pytest.mark.slow
def test_calibration_finds_the_weight_that_keeps_as_much_content() -> None:
    distiller = small_distiller(dataclasses.replace(RECIPE, blocks=((8, 8), (12,)), calibration=2))
    distiller.average.join(distiller.average.led)
    distiller.teacher = distiller.average.export(LAYERS)  # what the student is; its answers are raw features
    distiller.teacher.readouts = {}
    distiller.solve_readouts(4)
    assert distiller.calibrate() == (pytest.approx(1, rel=0.1), pytest.approx(0, abs=0.1))  # the student is the teacher
    distiller.teacher.content_weight, distiller.teacher.content_slope = 4.0, 0.5
    assert distiller.calibrate() == (pytest.approx(4, rel=0.25), pytest.approx(0.5, abs=0.15))


def test_minutes_end_a_run() -> None:
    distiller = small_distiller(dataclasses.replace(RECIPE, minutes=2.0))
    distiller.seconds = 60.0
    assert distiller.progress == pytest.approx(0.5)
    distiller.seconds = 1000.0
    assert distiller.progress == 1


def test_exported_file_reloads_and_keeps_the_gram_distances(tmp_path: Path) -> None:
    distiller = small_distiller()
    distiller.round()
    path = tmp_path / "small.safetensors"
    distiller.export(path)
    network = compact(path)
    assert path.stat().st_size < 10_000
    assert set(network.readouts) == set(LAYERS)
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    own = distiller.average.network(image, LAYERS)
    for layer, features in network(image, LAYERS).items():
        assert torch.allclose(features, own[layer], atol=0.01 * float(own[layer].max()))  # float16 in the file
        small, raw = network.readouts[layer], distiller.average.raw(layer)
        flat = features.flatten(2)
        grams = flat @ flat.mT / flat.shape[2]
        first, second = (raw @ g @ raw.T for g in grams)
        wanted = (first - second).norm()
        assert float((small @ (grams[0] - grams[1]) @ small.T).norm()) == pytest.approx(float(wanted), rel=5e-3)


def test_embedded_network_answers_every_layer_and_is_small() -> None:
    path = Path(vidstyle.__file__).parent / "assets" / "compact.safetensors"
    network = compact()
    assert path.stat().st_size <= 4_000_000
    features = network(torch.rand(1, 3, 64, 48), ALL_LAYERS)
    assert tuple(features) == ALL_LAYERS
    for layer, own in features.items():
        assert torch.isfinite(own).all()
        assert network.readouts[layer].shape == (own.shape[1], own.shape[1])


def test_crops_are_pictures_and_repeat_for_a_seed() -> None:
    pictures = small_pictures()
    first, second = (
        [disturbed_crop(pictures, 24, torch.Generator().manual_seed(s)) for s in range(30)] for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        assert one.shape == (3, 24, 24)
        assert float(one.min()) >= 0 and float(one.max()) <= 1
        assert torch.equal(one, other)
    assert len({float(crop.mean()) for crop in first}) == 30


def test_pictures_are_read_in_order_and_small_ones_left_out(tmp_path: Path) -> None:
    for number, side in enumerate((40, 20, 60)):
        image = np.zeros((side, 50, 3), np.uint8)
        image[..., 2] = 10 * (number + 1)  # OpenCV writes BGR: this is red
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    (tmp_path / "broken.jpg").write_text("no picture")
    pictures = load_pictures([tmp_path], 30)
    assert [image.shape for image in pictures] == [(40, 50, 3), (60, 50, 3)]
    assert pictures[1][0, 0].tolist() == [30, 0, 0]
    with pytest.raises(MediaError, match="found 1 pictures"):
        load_pictures([tmp_path], 50)


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("lr", -1.0), ("pastiches", 64), ("minutes", 0.0), ("stages", 2.0), ("apprenticeship", -0.1)],
)
def test_recipe_refuses_what_cannot_be_meant(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"--{name}"):
        Recipe(**{name: value})


def test_command_line_trains_exports_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, layers = tmp_path / "vgg19.pth", make_layers(cfgs["E"])
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, weights)
    for number, image in enumerate(small_pictures()):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    line = ["--teacher", str(weights), "--images", str(tmp_path), "--out", str(tmp_path / "own.safetensors")]
    small = ["--blocks", "4,4/4,4/6,6,6,6/6,6,6,6/6", "--steps", "8", "--crop", "32", "--batch", "2", "--pool", "2"]
    small += ["--pastiches", "1", "--paint", "1", "--calibration", "0", "--device", "cpu", "--precision", "float32"]
    distill.main([*line, *small])
    assert "content weight" in capsys.readouterr().out
    compact(tmp_path / "own.safetensors").require(ALL_LAYERS)
    for wrong, code in ((["--blocks", "4,x"], 2), (["--steps", "0"], 2), (["--teacher", str(tmp_path / "none")], 8)):
        with pytest.raises(SystemExit) as stopped:
            distill.main([*line, *small, *wrong])
        assert stopped.value.code == code
        assert capsys.readouterr().err.startswith("vidstyle.lab.distill: ")
