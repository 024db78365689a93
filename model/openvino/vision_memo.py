"""A vision tower that knows again what it saw last, as a graph of OpenVINO.

OpenVINO GenAI keeps what the language model has read of a picture, but sends the picture through the vision tower for
every question about it. The tower gets two variables of its own here: what came in last, and what it made of it. Where
the same comes in again, it computes on no rows at all and gives out what it remembers; the comparison is exact.

Letters for shapes: N patches, T = N / 4 tokens, D width of the tower, R of its positions, H of the language model.
"""

from pathlib import Path
from typing import Any

import numpy as np

TOWER = "openvino_vision_embeddings_merger_model"
INPUTS = ("hidden_states", "attention_mask", "rotary_pos_emb")
"""(N, D), (1, N, N) and (N, R)."""
_KEY = "seen"


def has_memo(folder: Path) -> bool:
    """Return whether the folder's tower remembers already."""
    return b'type="ReadValue"' in (folder / f"{TOWER}.xml").read_bytes()


def write_memo(folder: Path, out: Path) -> bool:
    """Write the folder's tower with a memory into another folder; False where it has another form than is known."""
    import openvino

    model = openvino.Core().read_model(folder / f"{TOWER}.xml")
    if sorted(parameter.output(0).get_any_name() for parameter in model.get_parameters()) != sorted(INPUTS):
        return False
    openvino.save_model(remembering(model), out / f"{TOWER}.xml", compress_to_fp16=False)
    return True


def remembering(model: Any) -> Any:
    """Return the tower with a memory of its last input and output; the given one is used up."""
    import openvino
    from openvino import opset15 as ops

    parameters = {parameter.output(0).get_any_name(): parameter for parameter in model.get_parameters()}
    hidden, mask, positions = (parameters[name] for name in INPUTS)
    uses = {name: list(parameters[name].output(0).get_target_inputs()) for name in INPUTS}

    def number(value: int) -> Any:
        return ops.constant(np.int64(value))

    def vector(value: Any) -> Any:
        return ops.unsqueeze(value, number(0))

    def rows(value: Any, axis: int = 0) -> Any:
        return ops.gather(ops.shape_of(value), number(axis), number(0))

    def first(value: Any, count: Any, axis: int = 0) -> Any:
        one = np.array([1], np.int64)
        return ops.slice(value, ops.constant(one * 0), vector(count), ops.constant(one), ops.constant(one * axis))

    def variable(name: str, dimensions: list[int]) -> Any:
        empty = np.zeros([max(size, 0) for size in dimensions], np.float32)
        return ops.read_value(ops.constant(empty), name, np.float32, dimensions)

    came = ops.concat([hidden, positions], 1)  # (N, D + R); positions tell how the patches form pictures
    seen = variable(_KEY, _dimensions(came.output(0)))
    both = ops.minimum(rows(came), rows(seen))
    equal = ops.reduce_logical_and(
        ops.equal(first(came, both), first(seen, both)), ops.constant(np.array([0, 1], np.int64))
    )
    same = ops.logical_and(ops.equal(rows(came), rows(seen)), equal)
    unread = ops.select(same, number(0), rows(came))
    for name, rest in zip(
        INPUTS, (first(hidden, unread), first(first(mask, unread, 1), unread, 2), first(positions, unread)), strict=True
    ):
        for use in uses[name]:
            use.replace_source_output(rest.output(0))
    sinks, results = [ops.assign(came, _KEY)], []
    for result in model.get_results():
        name, computed = result.output(0).get_any_name(), result.input_value(0)
        axis = len(computed.get_partial_shape()) - 2  # (T, H), and (layers, T, H) for DeepStack
        last = variable(f"{_KEY}_{name}", _dimensions(computed))
        kept = ops.select(same, rows(last, axis), number(0))
        given = ops.concat([first(last, kept, axis), computed], axis)
        given.output(0).get_tensor().set_names({name})
        sinks.append(ops.assign(given, f"{_KEY}_{name}"))
        results.append(ops.result(given))
    return openvino.Model(results, sinks, list(parameters.values()), "tower_with_memo")


def _dimensions(output: Any) -> list[int]:
    return [-1 if size.is_dynamic else size.get_length() for size in output.get_partial_shape()]
