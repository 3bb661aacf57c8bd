"""The suite itself: what is skipped, visibly, and what fails instead, by the marker of a test."""

from pathlib import Path

import pytest
import torch

pytest_plugins = ("pytester",)


@pytest.fixture
def outcomes(pytester, monkeypatch):
    """Of a test with this marker, on a machine without a CUDA device, in a suite of its own with our `conftest`."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("VIDSTYLE_REQUIRE_CUDA", raising=False)
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nmarkers = cuda\n slow\n soak\n clips\n")

    def run(marker, *arguments):
        pytester.makepyfile(f"import pytest\n\n@pytest.mark.{marker}\ndef test_one():\n    pass\n")
        plugins = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly")
        return pytester.runpytest_inprocess(*plugins, *arguments).parseoutcomes()

    return run


def test_a_cuda_test_is_skipped_without_a_device_and_fails_where_one_is_required(outcomes, monkeypatch):
    assert outcomes("cuda") == {"skipped": 1}
    monkeypatch.setenv("VIDSTYLE_REQUIRE_CUDA", "1")
    assert outcomes("cuda") == {"failed": 1}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert outcomes("cuda") == {"passed": 1}


@pytest.mark.parametrize("marker", ["slow", "soak"])
def test_what_takes_long_is_skipped_unless_it_is_asked_for(outcomes, marker):
    assert outcomes(marker) == {"skipped": 1}
    assert outcomes(marker, f"--{marker}") == {"passed": 1}
