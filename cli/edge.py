"""The edge of the process: errors become one line and an exit code. It imports click and nothing slower.

0 done, 1 the work failed, 2 bad usage, 130 stopped by Ctrl-C.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from common.atomic_files import is_disk_full
from common.errors import LorgnetteError

if TYPE_CHECKING:
    from lorgnette.opening import OpenAgent
    from retrieval.web.fetch import Internet

F = TypeVar("F", bound=Callable[..., Any])

FAILED, STOPPED = 1, 130


@dataclass
class Run:
    """What one run of the command line shares (`click.Context.obj`)."""

    verbose: bool = False
    open_agent: "OpenAgent | None" = None
    """Loads the agent; None loads the real one."""
    show: "Callable[[Path], bool] | None" = None
    """Opens a picture's file for people to look at, and says whether it could; None asks the system."""
    internet: "Internet | None" = None
    """How the network is reached; `retrieval.web.fetch.INTERNET` where there is none."""


class Edge(click.Group):
    """The root command: whatever a command raises ends here."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; no traceback leaves it unless `--verbose` asks for one."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise  # click's own: usage errors exit with 2
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(STOPPED)
        except BrokenPipeError:
            _forget_stdout()
            ctx.exit(FAILED)
        except LorgnetteError as error:
            _fail(ctx, str(error), error)
        except OSError as error:
            if not is_disk_full(error):
                _fail_unforeseen(ctx, error)
            _forget_stdout()  # what could not be written would be tried again at the end
            where = f" ({error.filename})" if error.filename else ""
            _fail(ctx, f"The disk is full, nothing more can be written{where}; make room and try again.", error)
        except Exception as error:  # the process edge
            _fail_unforeseen(ctx, error)


def _fail_unforeseen(ctx: click.Context, error: Exception) -> NoReturn:
    text = " ".join(str(error).split())
    name = type(error).__name__
    _fail(ctx, f"{name}: {text}" if text else name, error, hint="; --verbose shows the traceback")


def _fail(ctx: click.Context, text: str, error: Exception, hint: str = "") -> NoReturn:
    run = ctx.find_object(Run)
    if run is not None and run.verbose:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo(f"Error: {text}{hint}", err=True)
    ctx.exit(FAILED)


def _forget_stdout() -> None:
    """Keep the interpreter from flushing into a closed pipe when it ends, and from complaining of it."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # stdout is no file, as in tests
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - it lives as long as the process


def leave(code: int | str | None) -> NoReturn:
    """End the process; a thread inside native code (a load, a generation) does not survive a gentle end."""
    if any(thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code if isinstance(code, int) else int(code is not None))
    sys.exit(code)


def verbose_option(command: F) -> F:
    """Add `--verbose`, which may stand before or after the command's name."""

    def remember(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        run = ctx.ensure_object(Run)
        run.verbose = run.verbose or value

    return click.option(
        "--verbose",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=remember,
        help="Log to stderr, and show the traceback of an error.",
    )(command)


def settings_options(command: F) -> F:
    """Add the flags that are settings; they arrive in `**flags` by the settings' names."""
    for option in reversed(
        [
            click.option(
                "--model", metavar="M", help="`tiny`, a hub id, a folder, openvino:FOLDER, or http(s)://host/v1#name."
            ),
            click.option("--adapter", type=click.Path(path_type=Path), help="Folder of a PEFT adapter."),
            click.option(
                "--quantization", type=click.Choice(["auto", "none", "nf4", "int8"]), help="Form of the weights."
            ),
            click.option(
                "--root",
                "roots",
                multiple=True,
                type=click.Path(path_type=Path),
                metavar="DIR",
                callback=lambda _ctx, _param, value: value or None,
                help="Folder from which pictures may be read; may be repeated. Default: the working folder.",
            ),
            click.option(
                "--kb", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the documents, indexed before."
            ),
            click.option(
                "--effort", type=click.Choice(["quick", "normal", "thorough"]), help="How much to think and check."
            ),
            click.option(
                "--max-new-tokens", type=click.IntRange(1, 8192), metavar="N", help="Longest answer, in tokens."
            ),
            click.option("--system", metavar="TEXT", help="Said to the model at each step; tiny is not told."),
            click.option("--temperature", type=click.FloatRange(0, 2), metavar="T", help="Of sampling; 0 is greedy."),
            click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), metavar="P", help="Nucleus sampling."),
            click.option(
                "--top-k", type=click.IntRange(0), metavar="K", help="Sampling from so many tokens; 0 is all."
            ),
            click.option(
                "--repetition-penalty",
                type=click.FloatRange(0, 2, min_open=True),
                metavar="R",
                help="Makes words less likely that were there; it spoils tables. 1 is none.",
            ),
            click.option(
                "--presence-penalty",
                type=click.FloatRange(-2, 2),
                metavar="R",
                help="The same by a fixed step, for the answer's own words. 0 is none.",
            ),
            click.option("--seed", type=int, metavar="N", help="Of sampling, so that it can be repeated."),
            click.option(
                "--time-budget",
                "time_budget_s",
                type=click.FloatRange(min=0, min_open=True),
                metavar="S",
                help="Seconds after which an answer ends with what there is.",
            ),
        ]
    ):
        command = option(command)
    return command


def set_up_logging(run: Run) -> None:
    """Send logs to stderr, warnings and worse unless `--verbose`, and keep libraries' chatter out of answers."""
    import warnings

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if run.verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    if not run.verbose:
        warnings.simplefilter("ignore")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
