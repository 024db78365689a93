"""`lorgnette data`: look at training data, convert it and split it; `cli/data/make.py` makes some."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.data.make import from_kb, pull, scenes
from cli.data.show import make_show
from cli.edge import FAILED, verbose_option
from cli.progress_bar import bar
from finetune.data.formats import FORMATS, WRITABLE

if TYPE_CHECKING:
    from finetune.data.dataset import Broken, Dataset
    from finetune.data.report import DataReport

F = TypeVar("F", bound=Callable[..., Any])
SHOWN_BROKEN = 10  # beside a result; `data check` shows them all
CUTOFF_LEN = 2048  # LLaMA-Factory's default


@click.group(short_help="Check, convert, split and make training data.")
@verbose_option
def data() -> None:
    """Training data: what finetuning reads, and how to come by it.

    \b
    Examples:
      lorgnette data check captions.csv --model Qwen/Qwen3-VL-2B-Instruct
      lorgnette data convert captions.csv captions.jsonl
      lorgnette data split captions.jsonl --val 0.1 --test 0.1
    """  # noqa: D301


for command in (scenes, pull, from_kb):
    data.add_command(command)


def _columns(_ctx: click.Context, _param: click.Parameter, value: Sequence[str]) -> dict[str, str]:
    columns = {}
    for pair in value:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise click.BadParameter(f"{pair!r} is not NAME=COLUMN, such as image_path=file.")
        columns[ours.strip()] = theirs.strip()
    return columns


def reading_options(command: F) -> F:
    """Add the flags that say how a data file is read."""
    for option in (
        click.option("--max-samples", type=click.IntRange(1), metavar="N", help="Stop after N usable rows."),
        click.option("--captions", type=click.Choice(["first", "all"]), default="first",
                     help="COCO: learn each picture's first caption, the others being references, or every caption."),
        click.option("--frames-as", type=click.Choice(["video", "images"]), default="video",
                     help="OpenEQA: show the frames as one video, or as pictures. Default: video."),
        click.option("--frames", type=click.IntRange(1, 512), default=8, metavar="N",
                     help="Frames taken of a folder, evenly spaced. Default: 8."),
        click.option("--prompt", metavar="TEXT", help="What is asked about a picture that only has a caption."),
        click.option("--column", "columns", multiple=True, metavar="NAME=COLUMN", callback=_columns,
                     help="The file's own name of a column, such as image_path=file; may be repeated."),
        click.option("--image-folder", type=click.Path(path_type=Path), metavar="DIR",
                     help="Where relative picture names are looked for first. Default: the file's folder."),
        click.option("--from", "format", type=click.Choice(["auto", *FORMATS]), default="auto",
                     help="Format of the file. Default: auto, which says what it found."),
    ):  # fmt: skip
        command = option(command)
    return command


def read(file: Path, options: dict[str, Any], *, decode: bool = False) -> "Dataset":
    """Read the file as the flags say, and say on stderr which format it is and what is broken."""
    from finetune.data.dataset import read_dataset
    from finetune.data.formats.reading import ReadOptions

    named = {name: options[name] for name in ("frames", "frames_as", "captions", "columns")}
    if options["prompt"] is not None:
        named["prompt"] = options["prompt"]
    with bar("reading") as progress:
        dataset = read_dataset(
            file,
            image_folder=options["image_folder"],
            format=options["format"],
            max_samples=options["max_samples"],
            options=ReadOptions(**named, decode_pictures=decode),
            progress=progress,
        )
    click.echo(f"Format: {dataset.decided}", err=True)
    return dataset


data.add_command(make_show(reading_options, read, CUTOFF_LEN))


@data.command("check", short_help="Report on a data file before training.")
@click.argument("file", type=click.Path(path_type=Path))
@reading_options
@click.option("--model", metavar="M", help="Count tokens with this model's tokenizer and picture sizes.")
@click.option("--cutoff-len", type=click.IntRange(16), default=CUTOFF_LEN, metavar="N",
              help=f"Tokens at which training cuts a row. Default: {CUTOFF_LEN}.")  # fmt: skip
@click.option("--max-pixels", type=click.IntRange(1024), metavar="N", help="Pixel budget of a picture in training.")
@click.option("--decode", is_flag=True, help="Also decode every picture, to find damaged ones; slow.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
def check(
    file: Path, model: str | None, cutoff_len: int, max_pixels: int | None, decode: bool, as_json: bool, **options: Any
) -> None:
    """Say what FILE amounts to: rows, lengths, pictures, duplicates, and every row that cannot be used, with why.

    FILE may also be a folder of data files, or FOLDER/NAME of a LLaMA-Factory dataset_info.json. Exit code 1 where
    nothing is usable.

    \b
    Examples:
      lorgnette data check captions.csv
      lorgnette data check questions.json --image-folder frames --model Qwen/Qwen3-VL-2B-Instruct
    """  # noqa: D301
    from dataclasses import replace

    from finetune.data.report import count_tokens, report_on

    dataset = read(file, options, decode=decode)
    report = report_on(dataset)
    if model is not None:
        from finetune.data.token_counts import TokenCounter
        from model.hub import find_local
        from model.qwen3_vl.processor import load_processor

        processor = load_processor(find_local(model))
        counter = TokenCounter(processor, max_pixels=max_pixels, sizes=dataset.sizes)
        with bar("counting tokens") as progress:
            tokens = count_tokens(
                dataset.samples, counter, model=model, cutoff_len=cutoff_len, progress=progress
            )  # fmt: skip
        report = replace(report, tokens=tokens)
    if as_json:
        import json

        click.echo(json.dumps(asdict(report), ensure_ascii=False, default=str))
    else:
        _print(report)
    if not report.usable:
        raise click.exceptions.Exit(FAILED)


@data.command("convert", short_help="Write a data file in another format.")
@click.argument("file", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@reading_options
@click.option("--to", "to", type=click.Choice(WRITABLE), default="sharegpt", help="Format of OUT. Default: sharegpt.")
@click.option("--copy-pictures", "pictures", type=click.Path(path_type=Path), metavar="DIR",
              help="Copy the pictures there and name the copies, so that the data can travel.")  # fmt: skip
@click.option("--max-pixels", type=click.IntRange(1024), metavar="N", help="With --copy-pictures: scale down to N.")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@verbose_option
def convert(
    file: Path, out: Path, to: str, pictures: Path | None, max_pixels: int | None, force: bool, **options: Any
) -> None:
    """Write the rows of IN to OUT (.jsonl or .json, .csv for csv); rows that cannot be used or written are listed.

    \b
    Examples:
      lorgnette data convert captions.csv captions.jsonl --to messages
      lorgnette data convert open-eqa-v0.json eqa.jsonl --image-folder frames --copy-pictures eqa --max-pixels 65536
    """  # noqa: D301
    from finetune.data.copying import copy_pictures
    from finetune.data.writing import NothingToWrite, check_suffix, write_samples
    from finetune.output_files import check_free

    if max_pixels is not None and pictures is None:
        raise click.UsageError("--max-pixels needs --copy-pictures.")
    check_suffix(out, to)
    check_free([out], force=force)
    dataset = read(file, options)
    samples, broken = dataset.samples, list(dataset.broken)
    if pictures is not None:
        with bar("copying pictures") as progress:
            samples, damaged = copy_pictures(samples, pictures, max_pixels=max_pixels, progress=progress)
        broken += damaged
    try:
        left_out = write_samples(samples, out, to)
    except NothingToWrite as nothing:
        _say_broken([*broken, *nothing.left_out])
        raise
    _say_broken([*broken, *left_out])
    click.echo(f"{len(samples) - len(left_out)} rows written to {out}, {len(broken) + len(left_out)} left out")


@data.command("split", short_help="Divide a data file into train, validation and test.")
@click.argument("file", type=click.Path(path_type=Path))
@reading_options
@click.option(
    "--val", type=click.FloatRange(0, 1), default=0.1, metavar="X", help="Share to validate on. Default: 0.1."
)
@click.option("--test", type=click.FloatRange(0, 1), default=0.1, metavar="X", help="Share to test on. Default: 0.1.")
@click.option("--seed", type=int, default=0, metavar="N", help="The same seed divides alike. Default: 0.")
@click.option("--by", type=click.Choice(["image", "category"]), default="image",
              help="category: give each category these shares, too. Default: image.")  # fmt: skip
@click.option("--to", "to", type=click.Choice(WRITABLE), help="Format of the parts. Default: that of FILE.")
@click.option("--out", "folder", type=click.Path(path_type=Path), metavar="DIR",
              help="Where the parts go. Default: beside FILE.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace parts that exist.")
@verbose_option
def split(
    file: Path, val: float, test: float, seed: int, by: Any, to: str | None, folder: Path | None, force: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Divide FILE into FILE.train, FILE.val and FILE.test; no picture is ever on two sides.

    Rows that share a picture stay together, so the shares are as near as whole groups allow. A copy of a picture
    under another name counts as the same picture.

    \b
    Example:
      lorgnette data split open_eqa.jsonl --val 0.1 --test 0.1 --by category
    """  # noqa: D301
    from finetune.data.split import split_samples
    from finetune.data.writing import SUFFIXES, write_several
    from finetune.output_files import check_free

    dataset = read(file, options)
    format = to or (dataset.format if dataset.format in WRITABLE else "messages")
    suffix = file.suffix.lower() if file.suffix.lower() in SUFFIXES[format] else SUFFIXES[format][0]
    parts = split_samples(dataset.samples, val=val, test=test, seed=seed, by=by)
    sides = {"train": parts.train, "val": parts.val, "test": parts.test}
    where = folder or file.parent
    files = {where / f"{file.stem}.{name}{suffix}": side for name, side in sides.items() if side}
    check_free(list(files), force=force)
    left_out = write_several(files, format)
    _say_broken([*dataset.broken, *left_out])
    for path, side in files.items():
        click.echo(f"{len(side)} rows ({len(side) / len(dataset.samples):.1%}) to {path}")
    click.echo(f"{parts.groups} groups that share no picture, {len(dataset.broken) + len(left_out)} rows left out")


def _say_broken(broken: "Sequence[Broken]") -> None:
    from common.safe_text import printable

    for each in broken[:SHOWN_BROKEN]:
        click.echo(f"Left out: {printable(str(each))}", err=True)
    if len(broken) > SHOWN_BROKEN:
        click.echo(f"… and {len(broken) - SHOWN_BROKEN} more; `lorgnette data check` lists them all", err=True)


def _print(report: "DataReport") -> None:
    from cli.data.report import lines_of
    from common.safe_text import printable

    for line in lines_of(report):
        click.echo(printable(line))
