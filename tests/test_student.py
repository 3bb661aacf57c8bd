"""The network in training against a teacher that can be understood."""

import pytest
import torch

from vidstyle.core import stylemetrics
from vidstyle.core.networks import FeatureNetwork
from vidstyle.lab.distill.student import Student, TeacherScale, product, width_at

BLOCKS = ((5, 6), (9,))
LAYERS = ("relu1_1", "relu1_2", "relu2_1")


@pytest.fixture
def images():
    return torch.rand(4, 3, 24, 20, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def teacher():
    torch.manual_seed(0)
    return FeatureNetwork(((8, 8), (12,)), pool="average", skip=True).requires_grad_(False)


def pupil(teacher, images, blocks=BLOCKS):
    teacher_scales = {layer: TeacherScale(f, width_at(blocks, layer)) for layer, f in teacher(images, LAYERS).items()}
    return Student(blocks, teacher_scales, torch.Generator().manual_seed(1))


def asked(student, teacher, images):
    return {layer: student.teacher_scales[layer].read(f) for layer, f in teacher(images, LAYERS).items()}


def test_principal_components_keep_all_lengths_and_grams_when_all_are_kept(teacher, images):
    features = teacher(images, ["relu1_1"])["relu1_1"]
    answer = TeacherScale(features, 8).read(features)
    flat = features.permute(0, 2, 3, 1).flatten(1, 2)
    assert torch.allclose(answer.features.norm(dim=2), flat.norm(dim=2), atol=1e-5)
    full = flat.mT @ flat / flat.shape[1]
    grams = product(answer.features, answer.features)
    assert torch.allclose((grams[0] - grams[1]).norm(), (full[0] - full[1]).norm(), rtol=1e-3)
    fewer = TeacherScale(features, 3).read(features)
    assert torch.allclose(fewer.features, answer.features[:, :, :3], atol=1e-5)


def moments_of(features):  # (K, P) -> (K, K + 1), of one picture
    return stylemetrics.moments(features[None, :, :, None])


def style_distance(one, style):
    metric = stylemetrics.STYLE_METRICS["wasserstein"]
    basis, target = metric.target(style)
    return metric.distance(metric.mapped(one, basis), target)


def test_losses_are_those_of_their_definitions(teacher, images):
    student = pupil(teacher, images)
    answers = asked(student, teacher, images)
    with torch.no_grad():
        own = student(images, LAYERS, answers)
        found = student.losses(own, answers)
    for layer, (error, of_style) in found.items():
        teacher_scale, readout = student.teacher_scales[layer], student.readouts[layer].detach()
        components = torch.einsum("kc,nkhw->nchw", teacher_scale.components, teacher(images, [layer])[layer]).flatten(2)
        guess = torch.einsum("kc,npc->nkp", readout, own[layer])
        wanted = components / teacher_scale.scale[:, None]
        spread = wanted.var(dim=(0, 2)).sum()
        assert float(error) == pytest.approx(float((guess - wanted).square().sum(1).mean() / spread), rel=1e-3)
        raw = guess * teacher_scale.scale[:, None]
        guesses, wanted = ([moments_of(picture) for picture in pictures] for pictures in (raw, components))
        mean = torch.stack(wanted).mean(0)
        distances = [style_distance(guess, style) for guess, style in zip(guesses, wanted, strict=True)]
        apart = [style_distance(mean, style) for style in wanted]
        of_all = sum(apart) / len(apart)
        relative = [2 * one / (other + of_all) for one, other in zip(distances, apart, strict=True)]
        assert float(of_style) == pytest.approx(float(sum(relative) / len(relative)), rel=1e-3)


def test_a_student_that_is_its_teacher_makes_no_error(teacher, images):
    student = pupil(teacher, images, blocks=((8, 8), (12,)))
    student.join(student.led)
    student.network.load_state_dict(teacher.state_dict())
    answers = asked(student, teacher, images)
    student.solve_readouts([(images, answers)])
    with torch.no_grad():
        for error, of_gram in student.losses(student(images, LAYERS), answers).values():
            assert float(error) < 1e-3  # the ridge of the least squares
            assert float(of_gram) < 1e-3


def test_solved_readouts_are_the_best(teacher, images):
    student = pupil(teacher, images)
    answers = asked(student, teacher, images)
    student.solve_readouts(
        [(images[:2], asked(student, teacher, images[:2])), (images[2:], asked(student, teacher, images[2:]))]
    )
    own = student(images, LAYERS, answers)
    for layer, (error, _) in student.losses(own, answers).items():
        (slope,) = torch.autograd.grad(error, student.readouts[layer], retain_graph=True)
        assert float(slope.abs().max()) < 1e-3 * float(error.detach())


def test_joined_layers_compute_what_the_readouts_handed_on(teacher, images):
    """An apprentice that is handed its own guesses in place of the teacher's features, and the joined network."""
    student = pupil(teacher, images)
    answers = asked(student, teacher, images)
    student.solve_readouts([(images, answers)])
    with torch.no_grad():
        guesses, handed = {}, dict(answers)
        for layer in LAYERS:
            guesses[layer] = student(images, [layer], handed)[layer]
            handed[layer] = type(answers[layer])(guesses[layer] @ student.raw(layer).T, answers[layer].styles)
        student.join({"relu1_1"})
        assert student.led == {"relu1_2", "relu2_1"}
        student.join({"relu1_2", "relu2_1"})
        joined = student(images, LAYERS)
    for layer, features in joined.items():
        assert torch.allclose(features, guesses[layer], atol=1e-4 * float(guesses[layer].max())), layer


def test_exported_network_answers_alike(teacher, images):
    student = pupil(teacher, images)
    student.join(student.led)
    network = student.export(["relu2_1"])
    found, wanted = (one(images, ["relu2_1"])["relu2_1"] for one in (network, student.network))
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5 * float(wanted.max()))
    small, raw = network.readouts["relu2_1"], student.raw("relu2_1").detach()
    assert torch.allclose(small.T @ small, raw.T @ raw, rtol=1e-3, atol=1e-4 * float((raw.T @ raw).abs().max()))
