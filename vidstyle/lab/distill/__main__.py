"""Distils the compact network: trains a narrow VGG-shaped stack to predict VGG-19's features.

    python -m vidstyle.lab.distill --teacher VGG_FILE --images FOLDER... --out FILE

The student is regressed, layer by layer and through a linear read-out, on what the teacher answers to crops of the
given pictures; it never sees the teacher's weights. Checkpoints lie beside the output: the same command goes on from
the last one, and with more `--steps` or `--minutes` a finished run goes on, too.
"""

# ruff: noqa: E402

from __future__ import annotations

from vidstyle.system import environment

environment.import_from_elsewhere()

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from vidstyle.core.networks import compact, vgg19
from vidstyle.errors import VidstyleError
from vidstyle.lab.distill.crops import load_pictures, picture_files
from vidstyle.lab.distill.distiller import Distiller, train
from vidstyle.lab.distill.recipe import Recipe, blocks_from, written
from vidstyle.system.files import check_apart


def _table(figures: Mapping[str, tuple[float, float]]) -> str:
    return "  ".join(f"{layer} {error:.3f}/{of_style:.3f}" for layer, (error, of_style) in figures.items())


def command_line() -> argparse.ArgumentParser:
    """The options: those of a run, and one for each field of `Recipe`."""
    parser = argparse.ArgumentParser(prog="python -m vidstyle.lab.distill", description=__doc__.split("\n")[0])
    parser.add_argument("--teacher", required=True, help="VGG-19 weights")
    parser.add_argument("--images", required=True, nargs="+", help="folders of pictures")
    parser.add_argument("--out", required=True, type=Path, help="the network to write (.safetensors)")
    parser.add_argument("--begin", metavar="NETWORK", help="a network of an earlier run to go on from")
    parser.add_argument("--checkpoint", type=Path, help="default: OUT with the suffix .checkpoint")
    parser.add_argument("--export-every", type=int, default=0, metavar="ROUNDS", help="write OUT on the way, too")
    parser.add_argument("--validate-every", type=int, default=40, metavar="ROUNDS")
    for option in dataclasses.fields(Recipe):
        default = written(Recipe.blocks) if option.name == "blocks" else getattr(Recipe, option.name)
        flag, text = option.name.replace("_", "-"), f"{option.metadata['text']} [%(default)s]"
        parser.add_argument(f"--{flag}", type=type(default), default=default, help=text)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Ctrl-C loses the rounds since the last checkpoint; the same command continues."""
    parser = command_line()
    chosen = parser.parse_args(arguments)
    try:
        run(chosen)
    except VidstyleError as error:
        parser.exit(error.exit_code, f"vidstyle.lab.distill: {error}\n")


def run(chosen: argparse.Namespace) -> None:
    """Train as the command line says, and print how it goes."""
    checkpoint = chosen.checkpoint or chosen.out.with_suffix(".checkpoint")
    read = [chosen.teacher, *([chosen.begin] if chosen.begin else []), *picture_files(chosen.images)]
    check_apart([chosen.out, checkpoint], read)
    options = {option.name: getattr(chosen, option.name) for option in dataclasses.fields(Recipe)}
    recipe = Recipe(**options | {"blocks": blocks_from(chosen.blocks)})
    distiller = Distiller(vgg19(chosen.teacher), load_pictures(chosen.images, recipe.crop), recipe)
    if chosen.begin and not checkpoint.exists():
        distiller.begin_with(compact(chosen.begin))
    rounds = 0

    def on_round(distiller: Distiller, loss: float) -> None:
        nonlocal rounds
        rounds += 1
        print(
            f"step {distiller.step}  {distiller.seconds:.0f} s  {100 * distiller.progress:.1f} %  loss {loss:.4f}",
            flush=True,
        )
        if rounds % chosen.validate_every == 0 or distiller.progress >= 1:
            print(f"held out, 1 - R2 / style: {_table(distiller.validate())}", flush=True)
            if distiller.student.joined:
                print(f"pastiches, 1 - R2 / style: {_table(distiller.examine_pastiches())}", flush=True)
        if chosen.export_every and rounds % chosen.export_every == 0:
            distiller.export(chosen.out)

    train(distiller, checkpoint, on_round=on_round)
    weight, slope = distiller.calibrate()
    print(f"content weight {weight:.2f}, slope {slope:.2f}", flush=True)
    distiller.export(chosen.out, weight, slope)


if __name__ == "__main__":
    main()
