"""Imports transformers' Qwen3-VL without what only training and clusters use, which takes longer than all the rest.

Left out are torch's compiler (torch._dynamo), tensors shared out over processes (torch.distributed.tensor) and the
losses of object detection (scipy). transformers asks its own `is_..._available` about most of it, and the compiler is
wanted by decorators that do nothing without it. What was left out stays importable for whoever wants it later; a
process that trains must not import this way, so that each program says so with `allow`.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

logger = logging.getLogger(__name__)

_UNNEEDED = ("is_torch_distributed_available", "is_scipy_available")
_COMPILER = "torch._dynamo"
_COMPILERS_PART = "torch._dynamo._trace_wrapped_higher_order_op"
_DECORATORS = ("allow_in_graph", "assume_constant_result", "disable")  # of the compiler
_allowed = False


def allow() -> None:
    """Let this process import transformers without what it will not use: it answers, and does nothing else."""
    global _allowed
    _allowed = True


def import_qwen3_vl() -> None:
    """Import the classes of the model, if they are not imported yet; without `allow` as everybody does.

    Raises:
        ImportError, RuntimeError: transformers cannot be imported as installed.
    """
    if _allowed and not {"transformers.modeling_utils", _COMPILER} & sys.modules.keys():
        known = set(sys.modules)
        try:
            with _without_the_unneeded():
                import transformers.models.qwen3_vl.modeling_qwen3_vl
        except (AttributeError, ImportError, NameError, TypeError) as error:  # a version that wants more
            logger.info("transformers is imported whole: %s", error)
            for name in [name for name in sys.modules if name.startswith("transformers.") and name not in known]:
                del sys.modules[name]
    import transformers.models.qwen3_vl.modeling_qwen3_vl  # noqa: F401


@contextmanager
def without_the_compiler() -> Iterator[None]:
    """Keep torch's compiler from being imported in the body, if this process may do without it and has not got it.

    Building a model on no device runs torch's functions for describing tensors, which import it to switch it off.
    """
    if not _allowed or _COMPILER in sys.modules:
        yield
        return
    import torch

    compiler, part = ModuleType(_COMPILER), ModuleType(_COMPILERS_PART)
    compiler.__path__ = []  # a package
    vars(compiler).update(dict.fromkeys(_DECORATORS, _as_it_is))
    vars(part)["TransformGetItemToIndex"] = _TransformGetItemToIndex
    with ExitStack() as stack:
        for names, name, value in (
            (sys.modules, _COMPILER, compiler),
            (sys.modules, _COMPILERS_PART, part),
            (vars(torch), "_dynamo", compiler),
            (vars(torch), "compile", _as_it_is),
            (vars(torch.compiler), "disable", _as_it_is),
        ):
            stack.enter_context(_replaced(names, name, value))
        yield


@contextmanager
def _without_the_unneeded() -> Iterator[None]:
    import transformers.utils
    import transformers.utils.import_utils

    with ExitStack() as stack:
        for module in (transformers.utils, transformers.utils.import_utils):
            for name in _UNNEEDED:
                stack.enter_context(_replaced(vars(module), name, lambda: False))
        stack.enter_context(without_the_compiler())
        yield


@contextmanager
def _replaced(names: dict[str, Any], name: str, value: object) -> Iterator[None]:
    """Bind a name to another value in the body; one that was not there is gone again afterwards."""
    absent = object()
    before = names.get(name, absent)
    names[name] = value
    try:
        yield
    finally:
        if before is absent:
            del names[name]
        else:
            names[name] = before


def _as_it_is(function: Any = None, *_: Any, **options: Any) -> Any:
    """Decorate nothing, with and without parentheses."""
    return function if function is not None else _as_it_is


class _TransformGetItemToIndex:
    """What transformers opens around masks that functions describe; the real one, once it is opened."""

    def __new__(cls) -> Any:
        from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex

        return TransformGetItemToIndex()
