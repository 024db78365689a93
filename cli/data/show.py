"""`lorgnette data show`: rows as the model will see them, with what of them is learned."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge import FAILED, verbose_option

if TYPE_CHECKING:
    from finetune.data.dataset import Dataset
    from finetune.training.encoding import Row

Command = Callable[..., None]


def make_show(
    reading_options: Callable[[Command], Command], read: Callable[..., "Dataset"], cutoff_len: int
) -> click.Command:
    """Return the command; how files are read is `cli.data.command`'s, which has it among its own."""

    @click.command("show", short_help="Show rows as the model learns them.")
    @click.argument("file", type=click.Path(path_type=Path))
    @reading_options
    @click.option("--rows", type=click.IntRange(1), default=3, metavar="N", help="Rows to show. Default: 3.")
    @click.option("--model", default="tiny", metavar="M", help="Its tokenizer and template. Default: tiny.")
    @click.option("--cutoff-len", type=click.IntRange(16), default=cutoff_len, metavar="N",
                  help=f"Tokens at which training cuts a row. Default: {cutoff_len}.")  # fmt: skip
    @click.option("--max-pixels", type=click.IntRange(1024), metavar="N", help="Pixel budget of a picture.")
    @click.option("--mask-history", is_flag=True, help="Only the last answer is learned.")
    @click.option("--html", type=click.Path(path_type=Path), metavar="OUT", help="Write a page with the pictures.")
    @click.option("--force", is_flag=True, help="Replace OUT if it exists.")
    @verbose_option
    def show(
        file: Path, rows: int, model: str, cutoff_len: int, max_pixels: int | None, mask_history: bool,
        html: Path | None, force: bool, **options: Any,
    ) -> None:  # fmt: skip
        """Show the first rows of FILE in the words of the chat template; what is learned stands between ⟦ and ⟧.

        A picture is shown by its number of tokens, with --html itself. Rows that cannot be used are named with why.
        Exit code 1 where no row can be shown.

        \b
        Examples:
          lorgnette data show captions.csv
          lorgnette data show talk.jsonl --model Qwen/Qwen3-VL-2B-Instruct --rows 20 --html talk.html
        """  # noqa: D301
        from common.safe_text import printable
        from finetune.data.dataset import Broken
        from finetune.output_files import check_free
        from finetune.training.encoding import Encoder, RowRefused
        from finetune.training.reporting.label_mask import lines_of_rows, write_rows
        from model.errors import ImageError
        from model.hub import find_local
        from model.qwen3_vl.processor import load_processor

        if html is not None:
            check_free([html], force=force)
        dataset = read(file, options)
        processor = load_processor(find_local(model))
        encoder = Encoder(processor, cutoff_len=cutoff_len, max_pixels=max_pixels, mask_history=mask_history)
        shown: list[Row] = []
        broken = list(dataset.broken)
        for sample in dataset.samples:
            if len(shown) == rows:
                break
            try:
                shown.append(encoder(sample))
            except (RowRefused, ImageError) as error:
                broken.append(Broken(sample.origin, str(error)))
        if html is None:
            for line in lines_of_rows(shown, processor.tokenizer):
                click.echo("\n".join(map(printable, line.split("\n"))))
        else:
            write_rows(html, f"Rows of {file.name}", shown, broken, processor.tokenizer)
            click.echo(f"{html} shows {len(shown)} of {len(dataset.samples):,} rows, and {len(broken):,} left out")
        for each in broken:
            click.echo(f"Left out: {printable(str(each))}", err=True)
        if not shown:
            raise click.exceptions.Exit(FAILED)

    return show
