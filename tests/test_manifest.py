"""What a job folder says of itself is read back as it was written; all else is refused with a `ValueError`."""

import dataclasses
import json
from contextlib import suppress
from fractions import Fraction as F
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstyle.jobs.folder.manifest import FORMAT, Made, Manifest, OtherFormatError, Played, output_key
from vidstyle.settings import JOBS, BalanceSettings, EncodeSettings, VideoSettings
from vidstyle.types import ClipInfo

INFO = ClipInfo(96, 64, F(30000, 1001), 4, (F(0), F(1, 30), F(1, 7), F(1)), F(5, 2))
PLAYED = Played(INFO, (0, 1, 2, 1), (1.0, 0.5, 0.0), "/somewhere/clip.mp4", ("/somewhere/a.png",), True)
MANIFEST = Manifest(
    3,
    "1.0",
    inputs={"content": "a" * 64},
    settings=BalanceSettings(alpha=0.1 + 0.2, mix=("0s:1, end:0", 1.0), preserve_color=1),
    threads=2,
    remapped_times=(F(1, 3), F(2, 3)),
    played=PLAYED,
    encoding=EncodeSettings(crf=20, width=64, caption="a", plays=3),
    made={"out.mp4": Made("b" * 64, 1000)},
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def forged(found: dict) -> bytes:
    """A manifest with these values and the checksum that belongs to them."""
    from vidstyle.jobs.folder.manifest import _checksum

    return json.dumps({**found, "sha256": _checksum(found)}).encode()


def plain() -> dict:
    found = json.loads(MANIFEST.encoded())
    del found["sha256"]
    return found


def test_it_comes_back_as_it_was():
    assert Manifest.decoded(MANIFEST.encoded()) == MANIFEST
    assert Manifest.decoded(forged(plain())) == MANIFEST
    assert Manifest.decoded(Manifest(1).encoded()) == Manifest(1)


def paths(tree, path=()):
    yield path
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield from paths(tree[key], (*path, key))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([path for path in paths(plain()) if path]), JSON | st.just(...))
def test_any_value_in_any_place_is_read_or_refused(path, value):
    """With its checksum, as nobody but a forger writes it: it is one of ours, or a `ValueError`."""
    found = plain()
    *above, last = path
    inside = found
    for key in above:
        inside = inside[key]
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    text = json.dumps(found).encode()
    with pytest.raises(ValueError, match=r"not as vidstyle wrote it|format"):
        Manifest.decoded(text)
    with suppress(ValueError):
        assert isinstance(Manifest.decoded(forged(found)), Manifest)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(MANIFEST.encoded()) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_other_bytes_are_refused(place, put, gone):
    text = MANIFEST.encoded()
    other = text[:place] + put + text[place + gone :]
    with suppress(ValueError):
        assert Manifest.decoded(other) == MANIFEST  # white space


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b"1", b"{", b"\xff\xfe", b"[" * 10**5, b'{"a":' * 10**5, b"9" * 10**5, b'{"format":3}'],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"^(?!.*Traceback)"):
        Manifest.decoded(text)


@pytest.mark.parametrize("kind", [kind for job, kind in JOBS.items() if job != "encode"])
def test_settings_of_each_job_come_back(kind):
    there = Manifest.decoded(Manifest(2, settings=kind(size=64)).encoded())
    assert (there.settings, there.job) == (kind(size=64), kind.job)


@pytest.mark.parametrize(
    ("job", "change", "words"),
    [
        ("balance", {"loop": True}, "settings: 'loop' is unknown"),
        ("balance", {"crf": 18}, "settings: 'crf' is unknown"),
        ("balance", {"seconds": ...}, "settings: 'seconds' is missing"),
        ("balance", {"seconds": -1}, "settings: --seconds is -1; it must be above 0"),
        ("balance", {"timelapse": 1}, "settings: --timelapse is 1; it must be True or False"),
        ("video", {}, "settings: "),
        ("encode", {}, "is no job that paints"),
        (["balance"], {}, "is no job that paints"),
        (None, {}, "is no job that paints"),
    ],
)
def test_other_settings_are_refused(job, change, words):
    found = plain()
    given = {name: value for name, value in {**found["settings"], **change}.items() if value is not ...}
    with pytest.raises(ValueError, match=words):
        Manifest.decoded(forged({**found, "job": job, "settings": given}))


def test_what_does_not_paint_is_not_kept():
    kept = json.loads(Manifest(1, settings=VideoSettings(crf=3, loop=True)).encoded())["settings"]
    assert kept["loop"] is True
    assert not {"crf", "cuda_graphs", "width", "fps"} & set(kept)
    assert not {"weights", "flow_weights"} & set(kept)


def test_another_version_is_told_from_damage():
    other = MANIFEST.encoded().replace(FORMAT.encode(), b"vidstyle-job-2")
    assert Manifest.is_one(other) and Manifest.is_one(MANIFEST.encoded()[:60])
    assert not Manifest.is_one(b'{"name": "a web page", "format": "page-2"}')
    with pytest.raises(OtherFormatError, match="vidstyle-job-2"):
        Manifest.decoded(other)


def test_changes_are_said_in_words():
    settings = dataclasses.replace(MANIFEST.settings, alpha=0.5, mix=(), seconds=2)
    other = dataclasses.replace(MANIFEST, settings=settings, inputs={"content": "b" * 64}, threads=1, remapped_times=())
    assert other.changes(MANIFEST) == [
        "inputs.content was aaaaaaaa…, now bbbbbbbb…",
        'mix was ["0s:1, end:0", 1.0], now []',
        "alpha was 0.30000000000000004, now 0.5",
        "seconds was 4.0, now 2",
    ]
    assert not MANIFEST.changes(MANIFEST)


@pytest.mark.parametrize("kind", [kind for job, kind in JOBS.items() if job != "encode"])
def test_other_weights_are_a_change_though_their_names_are_the_same(kind):
    """A setting may not hide a hash that has its name."""
    old = Manifest(3, network="a" * 64, flow_weights="c" * 64, settings=kind(network="a file"))
    new = dataclasses.replace(old, network="b" * 64, flow_weights="d" * 64)
    assert new.changes(old) == [
        "flow_weights was cccccccc…, now dddddddd…",
        "weights was aaaaaaaa…, now bbbbbbbb…",
    ]


def test_outputs_are_named_so_that_all_may_be_moved_together(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("out/a.mp4.job")
    assert output_key(folder, Path("out/a.mp4")) == "a.mp4"
    assert output_key(folder, tmp_path / "out" / "b" / "c.gif") == "b/c.gif"
    assert output_key(folder, Path("c.gif")) == (tmp_path / "c.gif").as_posix()
