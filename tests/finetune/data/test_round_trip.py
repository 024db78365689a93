"""Whatever a format can hold comes back equal; what it cannot hold is listed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune.data.dataset import read_dataset
from finetune.data.formats import WRITABLE
from finetune.data.formats.reading import ReadOptions
from finetune.data.sample import Frames, ImageFile, Message, Origin, Part, Sample
from finetune.data.writing import SUFFIXES, NothingToWrite, write_samples

ORIGIN = Origin(Path("drawn.jsonl"), 1)
UNCHECKED = ReadOptions(check_pictures=False)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(
    [
        "<image>",
        "a <video> b",
        "<|vision_start|>",
        "<tool_response>\n1\n</tool_response>",
        '“图”,\r\n"x"',
        "\u2028",
        "~",
    ]
)
said = words.filter(lambda text: bool(text.strip()))
paths = st.sampled_from(["a.png", "b/c d.jpg", "b/图.png", "~home/x.png", "data:x.png", "..x.png", 'a,b"c.png'])


@st.composite
def samples(draw: st.DrawFn, folder: Path, row: bool) -> Sample:
    """Draw any sample, or where `row` one that a table's row can hold."""
    files = paths.map(lambda name: folder / name) | paths.map(lambda name: Path("/elsewhere") / name)
    media = files.map(ImageFile) | st.lists(files, min_size=1, max_size=3).map(lambda each: Frames(tuple(each)))

    def user() -> Message:
        parts: list[Part] = []
        for part in draw(st.lists(media | said, min_size=1, max_size=4)):
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                continue  # a reader joins them
            parts.append(part)
        return Message("user", tuple(parts))

    messages = [Message("system", (draw(said),))] if not row and draw(st.booleans()) else []
    if row:
        messages = [Message("user", (draw(files.map(ImageFile)), draw(said))), Message("assistant", (draw(said),))]
    for _ in range(0 if row else draw(st.integers(1, 3))):
        messages += [user(), Message("assistant", (draw(said),))]
    return Sample(
        draw(said),
        tuple(messages),
        ORIGIN,
        draw(st.none() | words),
        tuple(draw(st.lists(words, max_size=2))),
        draw(st.booleans()),
    )


@pytest.mark.parametrize(("format", "suffix"), [(name, end) for name in WRITABLE for end in SUFFIXES[name]])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read_back_equal(tmp_path: Path, format: str, suffix: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(samples(tmp_path, row=format == "csv"), max_size=4))
    out = tmp_path / f"out{suffix}"
    try:
        left_out = write_samples(drawn, out, format)
    except NothingToWrite as nothing:
        assert len(nothing.left_out) == len(drawn) and (not drawn or format not in ("messages", "csv"))
        return
    if format in ("messages", "csv"):
        assert not left_out
    back = read_dataset(out, format=format, options=UNCHECKED)
    assert back.broken == []
    refused = len(drawn) - len(left_out)
    kept = [replace(sample, origin=ORIGIN) for sample in back.samples]
    assert len(kept) == refused
    remaining = iter(drawn)
    assert all(any(sample == other for other in remaining) for sample in kept)  # in their order
