"""The public surface: what the package names, it has, and tells of."""

import inspect

import pytest

import vidstyle


def test_the_names_are_these():
    assert sorted(vidstyle.__all__) == vidstyle.__all__ == [
        "Measurement",
        "Result",
        "Settings",
        "VidstyleError",
        "animate_balance",
        "encode_job",
        "find_shots",
        "make_sheet",
        "measure_clip",
        "stylize",
        "stylize_frames",
        "stylize_image",
        "stylize_video",
    ]  # fmt: skip


@pytest.mark.parametrize("name", vidstyle.__all__)
def test_each_is_there_and_documented(name):
    assert inspect.getdoc(getattr(vidstyle, name))


FUNCTIONS = [name for name in vidstyle.__all__ if inspect.isfunction(getattr(vidstyle, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_docstring_tells_arguments_and_errors(name):
    """Or names the function that has them."""
    function = getattr(vidstyle, name)
    text = inspect.getdoc(function)
    others = "other arguments" in text
    for argument in inspect.signature(function).parameters:
        assert f"{argument}:" in text or others, argument
    assert "Raises:" in text or "errors are those of" in text


def test_an_unknown_name_is_told():
    with pytest.raises(AttributeError, match="stylise"):
        vidstyle.stylise  # noqa: B018
