"""`lorgnette finetune FILE`, and LLaMA-Factory's words `train`, `export`, `api`, `chat`: what the file asks for."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge import STOPPED, Run, verbose_option

if TYPE_CHECKING:
    from finetune.config.job import Job

PORT = 8000
"""Of LLaMA-Factory's API, where API_PORT names none."""
FILES = (".yaml", ".yml", ".json")


class FileGroup(click.Group):
    """A group whose first word may be a configuration."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; for a file the one that does what it says."""
        if args and args[0].lower().endswith(FILES):
            return "run", run_file, args
        return super().resolve_command(ctx, args)


def _command(name: str, word: str | None, text: str) -> click.Command:
    @click.command(
        name, short_help=text, hidden=True,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
    )  # fmt: skip
    @click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="CONFIG.yaml [--key=value]...")
    @verbose_option
    @click.pass_context
    def command(ctx: click.Context, words: tuple[str, ...]) -> None:
        do(ctx, job_of(words, word), chat=word == "chat")

    command.help = f"{text} The keys are LLaMA-Factory's; docs/finetuning.md has the table."
    return command


def job_of(words: tuple[str, ...], word: str | None = None) -> "Job":
    """Read the configuration that the command line names, and tell its notes."""
    from finetune.config.job import read_job

    job = read_job(*_split(words), word)
    for note in job.config.notes:
        click.echo(f"Note: {note}", err=True)
    return job


def _split(words: tuple[str, ...]) -> tuple[Path | None, list[str]]:
    """Return the file, named in the first place or by --config, and the rest."""
    rest = list(words)
    if rest and not rest[0].startswith("--"):
        return Path(rest.pop(0)), rest
    for place, word in enumerate(rest):
        if word == "--config" and place + 1 < len(rest):
            return Path(rest[place + 1]), rest[:place] + rest[place + 2 :]
        if word.startswith("--config="):
            return Path(word.partition("=")[2]), rest[:place] + rest[place + 1 :]
    return None, rest


def do(ctx: click.Context, job: "Job", *, chat: bool = False) -> None:
    """Do what a configuration asks for."""
    match job.kind:
        case "train":
            train_and_tell(ctx, job)
            if job.then_predicts:
                _predict_after(job)
        case "predict":
            _predict(job, job.adapter)
        case "export":
            _export(job)
        case "serve":
            if chat:
                _chat(job)
            else:
                _serve(ctx, job)


def _predict_after(job: "Job") -> None:
    """Let what was trained predict: the adapter, or the model itself."""
    from dataclasses import replace

    folder = job.config.training.output_dir
    if not job.config.adapter.is_whole:
        _predict(job, folder)
        return
    _predict(replace(job, config=job.config.changed(model={"model_name_or_path": str(folder)})), None)


def train_and_tell(ctx: click.Context, job: "Job") -> None:
    """Train, and say where what came of it lies."""
    from common.safe_text import printable
    from finetune.training.train import train

    result = train(job.config, say=lambda text: click.echo(printable(text), err=True))
    if result.stopped:
        click.echo(
            f"Stopped after step {result.steps}; {result.checkpoint} is whole. Go on with the same command and "
            "--resume_from_checkpoint=true"
        )
        ctx.exit(STOPPED)
    if result.first_process:
        final = "" if result.last_loss is None else f"last loss {result.last_loss:.4g}, "
        mean = f"{final}mean loss {result.metrics['train_loss']:.4g}"
        last = f", on the rows held back {result.metrics['eval_loss']:.4g}" if "eval_loss" in result.metrics else ""
        what, flag = ("model", "--model") if job.config.adapter.is_whole else ("adapter", "--adapter")
        click.echo(
            f"{result.output_dir} holds the {what} after {result.steps} steps ({mean}{last}); "
            f"report: {result.output_dir / 'report.html'}; ask with {flag} {result.output_dir}"
        )


def _predict(job: "Job", adapter: Path | None) -> None:
    from cli.finetune.table import print_table, say_broken, shown_progress
    from finetune.data.configured import frame_budget
    from finetune.evaluation.answering import Answering
    from finetune.evaluation.evaluate import Measuring, evaluate
    from finetune.evaluation.foreign_files import PREDICTIONS, write_predictions
    from finetune.evaluation.rows import rows_of_config
    from model.adapters import quiet_bitsandbytes

    quiet_bitsandbytes()
    config, how = job.config, job.predicting
    if config.training.output_dir == adapter and not job.then_predicts:
        click.echo("Note: output_dir is the adapter's own folder; the predictions go into it.", err=True)
    out = config.training.output_dir
    answering = Answering(
        model=config.model.model_name_or_path, adapter=adapter,
        quantization=config.model.quantization, bf16=config.model.bf16,
        max_new_tokens=how.max_new_tokens, max_pixels=config.data.image_max_pixels, frames=frame_budget(config),
        temperature=how.temperature if how.do_sample else 0.0, top_p=how.top_p, top_k=how.top_k,
        repetition_penalty=how.repetition_penalty, seed=config.training.seed,
    )  # fmt: skip
    began = time.monotonic()
    with shown_progress(out) as watch:
        rows = rows_of_config(config, None, config.data.max_samples)
        say_broken(rows.broken)
        outcome = evaluate(
            rows.samples, answering, Measuring(out=out, metrics=_metrics()), source=rows.source, broken=rows.broken,
            watch=watch, say=lambda text: click.echo(f"Warning: {text}.", err=True),
        )  # fmt: skip
    write_predictions(outcome, out, time.monotonic() - began)
    print_table(outcome, out)
    click.echo(f"{out / PREDICTIONS} has every answer beside its label")


def _metrics() -> tuple[str, ...]:
    """Return LLaMA-Factory's metrics where what computes them is installed, and ours beside them."""
    from importlib.util import find_spec

    there = all(find_spec(package) is not None for package in ("nltk", "rouge_chinese", "jieba"))
    return ("exact", "anls", "bleu-4", "rouge-1", "rouge-2", "rouge-l") if there else ()


def _export(job: "Job") -> None:
    from finetune.config.schema import KeyMissing
    from finetune.export.export import export

    if job.adapter is None:
        raise KeyMissing("adapter_name_or_path", "saves/lora/train")
    if job.exporting.export_dir is None:
        raise KeyMissing("export_dir", "saves/merged")
    out = job.exporting.export_dir
    done = export(job.adapter, job.config.model.model_name_or_path, out, largest_file_gb=job.exporting.export_size)
    click.echo(f"{done.folder} holds {done.base} with the adapter in it; ask with --model {done.folder}")


def _flags(job: "Job") -> dict[str, Any]:
    model = job.config.model
    return {
        "model": model.model_name_or_path, "adapter": model.adapter_name_or_path,
        "quantization": model.quantization, "max_pixels": job.config.data.image_max_pixels,
        "video_max_pixels": job.config.data.video_max_pixels,
    }  # fmt: skip


def _serve(ctx: click.Context, job: "Job") -> None:
    from cli.serve import serve_http

    text = os.environ.get("API_PORT", "")
    port = int(text) if text.isdecimal() and int(text) < 65536 else PORT
    run: Run = ctx.obj or Run()
    serve_http(run, os.environ.get("API_HOST") or "127.0.0.1", port, _flags(job))


def _chat(job: "Job") -> None:
    """Let the bare model answer line by line, until the input ends."""
    from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

    from common.safe_text import printable
    from lorgnette.settings import load_settings
    from model.open import open_chat

    chat, _ = open_chat(load_settings(**_flags(job)))
    said: list[BaseMessage] = []
    for line in sys.stdin:
        if line.strip() in ("exit", "quit"):
            break
        if line.strip() == "clear":
            said.clear()
        elif line.strip():
            said.append(HumanMessage(line.strip()))
            answer = ""
            for chunk in chat.stream(said):
                answer += chunk.text
                click.echo(printable(chunk.text), nl=False)
            click.echo()
            said.append(AIMessage(answer))


run_file = _command("run", None, "Do what a configuration asks for.")
train_words = _command("train", "train", "Train, or predict, as a configuration says.")
export_words = _command("export", "export", "Merge an adapter into its base model, as a configuration says.")
api_words = _command("api", "api", "Serve a model to OpenAI clients, as a configuration says.")
chat_words = _command("chat", "chat", "Talk with a model, as a configuration says.")
