"""The public surface: what the package names, it has, and tells of."""

import copy
import dataclasses
import inspect
import pickle
import re

import pytest

import vidstyle
from vidstyle.errors import UsageError
from vidstyle.settings import JOBS, options


def test_the_names_are_these():
    assert sorted(vidstyle.__all__) == vidstyle.__all__ == [
        "BalanceSettings",
        "EncodeSettings",
        "ImageSettings",
        "Measurement",
        "Region",
        "Result",
        "RunOptions",
        "SheetSettings",
        "VideoSettings",
        "VidstyleError",
        "animate_balance",
        "encode_job",
        "find_shots",
        "make_mask",
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


def test_each_field_of_the_run_options_has_a_sentence():
    """Beside it or above it, after `#:`."""
    source = inspect.getsource(vidstyle.RunOptions)
    for field in dataclasses.fields(vidstyle.RunOptions):
        before, line = source.split(f"    {field.name}: ")[0].splitlines()[-1], source.split(f"    {field.name}: ")[1]
        assert "#: " in line.splitlines()[0] or before.strip().startswith("#: "), field.name


@pytest.mark.parametrize("kind", JOBS.values())
def test_each_setting_has_a_sentence_and_each_class_tells_its_function(kind):
    assert all(option.metadata["text"].endswith(".") for option in options(kind).values())
    (function,) = re.findall(r"Settings of `(\w+)`", inspect.getdoc(kind))
    assert inspect.isfunction(getattr(vidstyle, function))
    assert kind.__name__ in str(inspect.signature(getattr(vidstyle, function)))


WRONG = [
    ("VideoSettings", {"seconds": 3}, "VideoSettings has no setting 'seconds', which is one of BalanceSettings"),
    ("BalanceSettings", {"pingpong": True}, "no setting 'pingpong', which is one of EncodeSettings and VideoSettings"),
    ("ImageSettings", {"iterations": 3}, "no setting 'iterations', which is one of BalanceSettings and VideoSettings"),
    ("SheetSettings", {"alpha": 0.3}, "SheetSettings has no setting 'alpha', which is one of Bal"),
    ("EncodeSettings", {"device": "cpu"}, "EncodeSettings has no setting 'device', which is one of Bal"),
    ("VideoSettings", {"alhpa": 0.3}, "VideoSettings has no setting 'alhpa'; did you mean 'alpha'?"),
    ("VideoSettings", {"xyz": 0.3}, "VideoSettings has no setting 'xyz'; help(vidstyle.VideoSettings) lists them"),
]


@pytest.mark.parametrize(("name", "given", "words"), WRONG)
def test_what_a_job_does_not_use_is_refused(name, given, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        getattr(vidstyle, name)(**given)
    with pytest.raises(UsageError, match=re.escape(words)):
        dataclasses.replace(getattr(vidstyle, name)(), **given)


def test_settings_are_given_by_name():
    with pytest.raises(UsageError, match="VideoSettings takes its settings by name"):
        vidstyle.VideoSettings(0.4)


def test_settings_are_copied_and_pickled():
    settings = vidstyle.VideoSettings(alpha="0s:1, end:0", mix=[1, 2])
    assert pickle.loads(pickle.dumps(settings)) == copy.deepcopy(settings) == settings


def test_a_preset_gives_a_job_what_it_has():
    assert vidstyle.VideoSettings.preset("gatys").alpha == vidstyle.ImageSettings.preset("gatys").alpha == 0.3
    assert vidstyle.VideoSettings.preset("gatys", alpha=0.1, iterations=3).alpha == 0.1
    assert vidstyle.SheetSettings.preset("gatys").style_metric == "gram"
    balance = vidstyle.BalanceSettings.preset
    assert (balance("gatys").alpha, balance("gatys", timelapse=True).alpha) == (None, 0.3)
    assert balance("gatys", timelapse=True, alpha=0.1).alpha == balance("gatys", alpha=0.1).alpha == 0.1
    with pytest.raises(UsageError, match="there is no preset 'x'; presets: blog, gatys"):
        balance("x")


def test_an_unknown_name_is_told():
    with pytest.raises(AttributeError, match="stylise"):
        vidstyle.stylise  # noqa: B018
