"""Some frames of a finished clip painted again with other settings, in step with those before and after them.

They are painted in a job folder of their own within the kept one (`folder.redone`), so that the old frames stay until
all new ones are there. The new painting starts from the old frames before it, as from any painting. Where a shot goes
on before or after it, the old painting fades into the new one and back: both are of the same frames along the same
motion, and on the way back the new one is led to the old one besides, as the end of a loop is to its beginning.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vidstyle.core.stylizer import OnGrowth
from vidstyle.errors import JobError, UsageError
from vidstyle.jobs.folder.checkpoint import JobFolder
from vidstyle.jobs.folder.layout import MANIFEST, REDO, REDONE
from vidstyle.jobs.folder.manifest import Manifest, Redone
from vidstyle.jobs.folder.opening import folder_of, reopen_job
from vidstyle.jobs.painting.rendering import Painter, Watched, render
from vidstyle.jobs.painting.workers import require_threads
from vidstyle.jobs.sources.clips import VideoSource, to_tensor
from vidstyle.jobs.sources.keys import eased
from vidstyle.jobs.tasks import Task
from vidstyle.jobs.threads import computing_with
from vidstyle.settings import KeySettings, MaskSettings, PaintingSettings, ReadingSettings, options
from vidstyle.settings.ranges import FrameRange
from vidstyle.system.files import disk_errors
from vidstyle.system.notes import tell
from vidstyle.types import Budget, ClipInfo, Frame, KeyLead, Result, State

FADE = 16  # frames in which the old painting goes over to the new one, and back
Old = Callable[[int], np.ndarray]  # an old frame, (H, W, 3) uint8, by its number in the order of painting
SAME = {*options(ReadingSettings), *options(MaskSettings), *options(KeySettings), "size", "loop"}  # what is painted


@dataclass(frozen=True)
class Plan:
    """Frames that are painted again, by their numbers in the order of painting."""

    start: int  #: of the folder that they are painted in: the old frames from here on are what they start from
    first: int
    end: int
    fades: Mapping[int, float]  #: share of the old painting in the new one, where it is not 0
    leads: Mapping[int, float]  #: how far a frame is led to the old one before it is painted

    @classmethod
    def of(cls, first: int, end: int, source: VideoSource) -> Plan:
        """The plan for some frames of a clip."""
        cuts, loop, length = source.shots | {source.info.frames}, source.settings.loop, end - first
        into, out = loop or first not in cuts, loop or end not in cuts
        frames = min(FADE, -(-length // 2) if into and out else length)
        fades, leads = dict[int, float](), dict[int, float]()
        for index in range(first, end):
            old = [1 - eased(index + 1, first, first + frames + 1)] * (into and index < first + frames)
            if out and index >= end - frames:
                share = [eased(number, end - frames - 1, end) for number in (index - 1, index)]
                old.append(share[1])
                leads[index] = 1 - (1 - share[1]) / (1 - share[0])
            if old:
                fades[index] = max(old)
        if loop and first == 0:
            leads[0] = 1.0
        shot = max(cut for cut in source.shots if cut <= first)
        start = 0 if loop else first if first == shot else max(first - source.reach, shot)
        return cls(start, first, end, fades, leads)

    @property
    def frames(self) -> int:
        """Of the folder that they are painted in."""
        return self.end - self.start


def paint_again(task: Task, source: VideoSource) -> Path:
    """Paint the frames that `--redo` names again, put them in their places, and make the outputs anew.

    Raises:
        JobError: there is no finished job, or what is painted would be something else; or an interrupted call of this
            kind was about other frames or settings.
        UsageError: they are no frames of the clip.
    """
    if source.settings.split_after is not None:
        raise UsageError("--redo paints frames of a whole shot again, and --split-after divides shots; leave it out")
    first, end, text = _numbers(task, source)
    plan, own, sound = Plan.of(first, end, source), task.manifest(source.info.frames), source.sound
    redone = Redone(first, end, text, task.origin().encoded(), source.curves.alpha[first:end])
    with reopen_job(folder_of(task.outputs[0])) as job, computing_with(job.manifest.threads):
        _require_same(job, own)
        require_threads(task.options, job.manifest.threads)
        task.targets.claim(job)
        task.require_room(source, task.outputs)
        if job.manifest.redone[-1:] == (redone,):
            if not job.manifest.outdated:
                tell(f"frames {text} were painted again with these settings last; nothing is painted")
        else:
            shots = tuple(shot - plan.start for shot in sorted(source.shots) if plan.start < shot < end)
            shots = () if source.settings.loop else shots
            threads = job.manifest.threads
            manifest = dataclasses.replace(own, frames=plan.frames, shots=shots, redo=redone, threads=threads)
            nested = _opened(job, manifest, restart=task.options.restart)
            _paint(task, source, plan, job, nested)
            with disk_errors(job.path):
                (job.path / REDO).rename(job.path / REDONE)  # they are whole: from here on they are what counts
            job.log(f"frames {text} were painted again")
            job.take_over()
            task.targets.claim(job)
        task.finish(job, source, sound)
    return task.outputs[0]


def _numbers(task: Task, source: VideoSource) -> tuple[int, int, str]:
    """The first frame, in the order of painting, the one after the last, and their numbers in the file."""
    asked, clip, frames = FrameRange.parsed(task.options.redo or ""), source.clip, source.info.frames
    if asked.frames is not None:
        first, end = asked.frames[0] - clip.first, asked.frames[1] + 1 - clip.first
    else:
        assert asked.seconds is not None
        inside = [index for index, time in enumerate(clip.times) if asked.seconds[0] <= time < asked.seconds[1]]
        first, end = (inside[0], inside[-1] + 1) if inside else (0, 0)
    if not 0 <= first < end <= frames:
        raise UsageError(
            f"--redo {asked.text}: frames {clip.first} to {clip.first + frames - 1} are painted, from second "
            f"{float(clip.times[0]):g} to {float(clip.end_seconds):g}, counted in the file as --shots does"
        )
    return first, end, f"{clip.first + first}-{clip.first + end - 1}"


def _require_same(job: JobFolder, own: Manifest) -> None:
    """Raise `JobError` unless a job is finished, and painted from the same as this call would."""
    there = job.manifest
    if there.seams.starts:
        raise JobError(f"{job.path} is painted in parts (--split-after), of which --redo knows nothing; paint all anew")
    if job.painted < job.frames:
        raise JobError(
            f"{job.path} holds {job.painted} of {job.frames} frames; finish it, and --redo paints some again"
        )
    free = {name for name in own.settings.painting() if name not in SAME}
    kept = {name: value for name, value in there.settings.painting().items() if name in free}
    settings: PaintingSettings = dataclasses.replace(own.settings, **kept)
    inputs = {role: value for role, value in own.inputs.items() if role != "init"}
    inputs |= {role: value for role, value in there.inputs.items() if role == "init"}
    one = dataclasses.replace(there, settings=settings, inputs=inputs)
    if changes := one.changes(there):
        raise JobError(
            f"--redo paints what {job.path} was painted from, with other settings of how: {'; '.join(changes)}. Give "
            "those as they were, or paint all into another output"
        )


def _opened(job: JobFolder, manifest: Manifest, *, restart: bool) -> JobFolder:
    """The folder in which the frames are painted, in that of the job."""
    path = job.path / REDO
    if restart:
        job.forget_redo()
    with disk_errors(path):
        path.mkdir(exist_ok=True)
        found = (path / MANIFEST).read_bytes() if (path / MANIFEST).is_file() else None
    try:
        there = None if found is None else Manifest.decoded(found)
    except ValueError:  # it was interrupted before its manifest was whole, or is damaged
        there = None
    if there is not None and there.redo is not None and (there.redo != manifest.redo or manifest.changes(there)):
        raise JobError(
            f"--redo {there.redo.range} of {job.path} was interrupted, and had other frames or settings; give those "
            "again to finish it, or forget it with --restart"
        )
    return JobFolder(path, manifest, there, job.require_lock)


def _paint(task: Task, source: VideoSource, plan: Plan, job: JobFolder, nested: JobFolder) -> None:
    """Paint what the nested folder does not have yet."""
    _keep_old(source, plan, job, nested)
    on_frame, before = task.options.on_frame, plan.first - plan.start

    def counted(result: Result, total: int) -> None:
        if on_frame is not None:
            on_frame(dataclasses.replace(result, index=result.index - before), total - before)

    def old(index: int) -> np.ndarray:
        (picture,) = job.images([index])
        return picture

    ranged, painter = _Range(source, plan, old), _Fading(task.stylizer(), plan, old)
    render(Watched(ranged, task.inputs), painter, nested, on_frame=counted)
    task.inputs.require_unchanged()


def _keep_old(source: VideoSource, plan: Plan, job: JobFolder, nested: JobFolder) -> None:
    """Save the old frames before the first that is painted as if they had been painted now: it looks back at them."""
    count = plan.first - plan.start
    if nested.done >= count:
        return
    history: tuple[torch.Tensor, ...] = ()
    opening = None
    for index, picture in enumerate(job.images(range(plan.start, plan.first))):
        pastiche = to_tensor(picture[:, :, :3])
        opening = pastiche if index == 0 and source.settings.loop else opening
        if index >= nested.done:
            state = State(index, pastiche, 0.0, history, opening)
            nested.save(Result(index, picture, {}, 0, 0.0), state)
        history = (pastiche, *history)[: source.reach - 1]


class _Range:
    """The frames of a plan as a source, numbered as in the folder that they are painted in."""

    def __init__(self, source: VideoSource, plan: Plan, old: Old) -> None:
        self._source, self._plan, self._old = source, plan, old
        self.info: ClipInfo = source.info
        self.playback: Sequence[int] = range(plan.frames)
        settings = source.settings
        self._budget = Budget(settings.first_iterations, settings.tolerance)

    def frames(self, start: int) -> Generator[Frame]:
        """The frames from number `start` on."""
        plan = self._plan
        with closing(self._source.frames(plan.start + start, plan.end)) as frames:
            for frame in frames:
                lead, share = frame.lead, plan.leads.get(frame.index, 0.0)
                if share and lead is None:
                    old = to_tensor(self._old(frame.index)[:, :, :3])
                    lead = KeyLead(old, torch.ones_like(old[:1]), share)
                budget = frame.budget
                if frame.lead is None and frame.index == plan.first:
                    budget = self._budget  # all that these settings change is to change here
                elif frame.lead is None and share:
                    budget = None  # the same picture again is painted over where it is led elsewhere
                yield dataclasses.replace(frame, index=frame.index - plan.start, lead=lead, budget=budget)


class _Fading:
    """Paints the frames of a plan, and fades the old ones into them."""

    def __init__(self, painter: Painter, plan: Plan, old: Old) -> None:
        self._painter, self._plan, self._old = painter, plan, old
        self.on_growth: OnGrowth | None = None

    @property
    def device(self) -> torch.device:
        """That the frames are painted on."""
        return self._painter.device

    def step(self, frame: Frame, state: State | None) -> tuple[Result, State]:
        """Paint a frame; the state after it is that of the new painting alone."""
        self._painter.on_growth = self.on_growth
        result, after = self._painter.step(frame, state)
        index = frame.index + self._plan.start
        if share := self._plan.fades.get(index, 0.0):
            blended = result.image + share * (self._old(index).astype(np.float32) - result.image)
            result = dataclasses.replace(result, image=np.rint(blended).astype(np.uint8))
        return result, after
