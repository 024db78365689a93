"""Every format's own example becomes the conversation that a person reads in it."""

import json
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from finetune.data.chat_messages import messages_of
from finetune.data.dataset import ColumnUnknown, Dataset, read_dataset, read_named
from finetune.data.detect import DatasetFormatUnknown
from finetune.data.formats.reading import ReadOptions
from finetune.data.registry import DatasetNotRegistered, EntryInvalid
from finetune.data.rows import DatasetKindUnknown, DatasetNotFound, DatasetUnreadable
from finetune.data.sample import Frames, ImageFile, Message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "图.png"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    return tmp_path


def save(folder: Path, name: str, value: Any) -> Path:
    file = folder / name
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")
    return file


def read(folder: Path, *rows: Any, name: str = "rows.json", **options: Any) -> Dataset:
    dataset = read_dataset(save(folder, name, list(rows)), options=ReadOptions(**options))
    assert dataset.broken == []
    return dataset


def said(dataset: Dataset, number: int = 0) -> list[tuple[Any, ...]]:
    """Return a sample as (role, part, part, ...), pictures by their names."""

    def shown(part: Any) -> Any:
        if isinstance(part, ImageFile):
            return part.path.name, "picture"
        return [path.name for path in part.paths] if isinstance(part, Frames) else part

    return [(m.role, *map(shown, m.parts)) for m in dataset.samples[number].messages]


A, B = ("a.png", "picture"), ("b.png", "picture")


def test_a_table_of_pictures_and_captions_asks_the_prompt(folder: Path) -> None:
    dataset = read_dataset(save(folder, "t.csv", 'image_path,caption\na.png,"A cat, asleep"\n图.png,一只猫\n'))
    assert dataset.decided == "csv, by the name 't.csv'"
    assert said(dataset) == [
        ("user", A, "Describe this image in one sentence."),
        ("assistant", "A cat, asleep"),
    ]
    assert said(dataset, 1)[0][1] == ("图.png", "picture")
    assert [sample.origin.line for sample in dataset.samples] == [2, 3]
    assert dataset.sizes[folder / "a.png"] == (64, 48)


def test_a_table_written_by_excel_in_china_is_read(folder: Path) -> None:
    file = folder / "t.csv"
    file.write_bytes("image_path,caption\r\n图.png,一只猫在睡觉\r\n".encode("gb18030"))
    assert said(read_dataset(file))[1] == ("assistant", "一只猫在睡觉")
    file.write_text("image_path,caption\n图.png,狗\n", encoding="utf-8-sig")
    assert said(read_dataset(file))[1] == ("assistant", "狗")


def test_a_tables_own_column_names_are_given_by_option(folder: Path) -> None:
    file = save(folder, "t.tsv", "file\ttext\twords\na.png\tWhat?\ta cat\n")
    columns = {"image_path": "file", "question": "text", "caption": "words"}
    dataset = read_dataset(file, options=ReadOptions(columns=columns))
    assert said(dataset) == [("user", A, "What?"), ("assistant", "a cat")]
    with pytest.raises(ColumnUnknown, match="no column 'fil'; it has 'file', 'text', 'words'"):
        read_dataset(file, options=ReadOptions(columns={"image_path": "fil"}))


def test_a_row_that_spans_lines_is_named_by_its_first(folder: Path) -> None:
    dataset = read_dataset(save(folder, "t.csv", 'image_path,caption\na.png,"one\ntwo"\n\nno.png,x\n'))
    assert dataset.samples[0].answer == "one\ntwo"
    assert str(dataset.broken[0].origin) == "t.csv:5"


def test_sharegpt_markers_take_the_pictures_in_order(folder: Path) -> None:
    row = {
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "<image>Who? <image>"},
            {"from": "gpt", "value": "Nobody."},
            {"from": "human", "value": "And here? <video>"},
            {"from": "gpt", "value": "Somebody."},
        ],
        "images": ["a.png", "b.png"],
        "videos": [["b.png", "a.png"]],
    }
    dataset = read(folder, row)
    assert dataset.decided == "sharegpt, by 'conversations'"
    assert said(dataset) == [
        ("system", "Be brief."),
        ("user", A, "Who? ", B),
        ("assistant", "Nobody."),
        ("user", "And here? ", ["b.png", "a.png"]),
        ("assistant", "Somebody."),
    ]


def test_function_calls_are_the_words_of_qwens_template(folder: Path) -> None:
    call = {"name": "measure", "arguments": {"unit": "mm"}}
    rows = read(
        folder,
        {
            "conversations": [
                {"from": "human", "value": "How long?"},
                {"from": "function_call", "value": json.dumps(call)},
                {"from": "observation", "value": "17"},
                {"from": "gpt", "value": "17 mm"},
            ],
            "tools": json.dumps([{"name": "measure"}]),
        },
    )
    spoken = said(rows)
    assert spoken[0][0] == "system" and '<tools>\n{"name": "measure"}\n</tools>' in spoken[0][1]
    assert spoken[2] == ("assistant", f"<tool_call>\n{json.dumps(call)}\n</tool_call>")
    assert spoken[3] == ("user", "<tool_response>\n17\n</tool_response>")


def test_openai_tool_calls_say_the_same_and_results_in_a_row_are_one_message(folder: Path) -> None:
    calls = [{"type": "function", "function": {"name": n, "arguments": '{"x": 1}'}} for n in ("f", "g")]
    dataset = read(
        folder,
        {
            "messages": [
                {"role": "user", "content": "Go."},
                {"role": "assistant", "content": None, "tool_calls": calls},
                {"role": "tool", "content": "1"},
                {"role": "tool", "content": "2"},
                {"role": "assistant", "content": "Done."},
            ]
        },
    )
    assert said(dataset)[1][1].count('<tool_call>\n{"name": ') == 2
    assert said(dataset)[2] == ("user", "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response>")


def test_messages_carry_pictures_as_parts_or_as_markers(folder: Path) -> None:
    url = {"type": "image_url", "image_url": {"url": (folder / "a.png").as_uri()}}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "a"}]}
    dataset = read(
        folder,
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "<image>?"}, url]}, answer]},
        {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "image", "path": "b.png"}]}, answer],
         "images": ["a.png"]},
        {"messages": [{"role": "user", "content": "x<image>"}, {"role": "assistant", "content": "a"}],
         "images": ["b.png"]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "value": "a.png"}]}, answer]},
    )  # fmt: skip
    assert said(dataset, 0)[0] == ("user", "<image>?", A)  # in a part, a marker is text
    assert said(dataset, 1)[0] == ("user", A, B)
    assert said(dataset, 2)[0] == ("user", "x", B)
    assert said(dataset, 3)[0] == ("user", A)


def test_alpaca_history_comes_before_instruction_and_input(folder: Path) -> None:
    row = {
        "instruction": "Compare.", "input": "<image>", "output": "Same.", "system": "S",
        "history": [["<image>What?", "A cat."]], "images": ["a.png", "b.png"],
    }  # fmt: skip
    assert said(read(folder, row)) == [
        ("system", "S"), ("user", A, "What?"), ("assistant", "A cat."), ("user", "Compare.\n", B),
        ("assistant", "Same."),
    ]  # fmt: skip


def test_qwen_conversations_hold_the_path_between_vision_markers(folder: Path) -> None:
    path = folder / "a.png"
    row = {
        "id": "identity_1",
        "conversations": [
            {"from": "user", "value": f"COCO Yes: <|vision_start|>{path}<|vision_end|>"},
            {"from": "assistant", "value": "A cat."},
        ],
    }
    dataset = read(folder, row)
    assert dataset.format == "qwen" and dataset.samples[0].id == "identity_1"
    assert said(dataset) == [("user", "COCO Yes: ", A), ("assistant", "A cat.")]


COCO = {
    "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}],
    "annotations": [
        {"image_id": 8, "caption": "A dog. "}, {"image_id": 7, "caption": "A cat."},
        {"image_id": 7, "caption": "Cat."}, {"image_id": 9, "caption": "?"},
    ],
}  # fmt: skip


def test_coco_captions_of_a_picture_are_one_sample_or_one_each(folder: Path) -> None:
    file = save(folder, "captions.json", COCO)
    dataset = read_dataset(file)
    assert [(s.id, s.answer, s.references) for s in dataset.samples] == [
        ("7", "A cat.", ("Cat.",)),
        ("8", "A dog.", ()),
    ]
    assert [str(broken) for broken in dataset.broken] == [
        "captions.json:4: annotation 4 is of the picture 9, which is not listed"
    ]
    every = read_dataset(file, options=ReadOptions(captions="all"))
    assert [(s.id, s.answer, s.references) for s in every.samples] == [
        ("7-1", "A cat.", ("Cat.",)), ("7-2", "Cat.", ("A cat.",)), ("8-1", "A dog.", ()),
    ]  # fmt: skip


def test_a_film_is_read_as_frames_at_even_times(folder: Path) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue", "white")]
    with av.open(str(folder / "walk.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    row = {"messages": [{"role": "user", "content": "<video>What?"}, {"role": "assistant", "content": "A walk."}],
           "videos": ["walk.mp4"]}  # fmt: skip
    (sample,) = read_dataset(save(folder, "rows.jsonl", [row]), options=ReadOptions(frames=4)).samples
    video = sample.messages[0].parts[0]
    assert isinstance(video, Frames)
    assert video.times_s == (0.0, 0.5, 1.0, 1.5)
    red, *_, white = (Image.open(path).getpixel((16, 16)) for path in video.paths)
    assert red == pytest.approx((255, 0, 0), abs=25) and white == pytest.approx((255, 255, 255), abs=25)
    (block, _) = messages_of(sample)[0]["content"]
    assert block["times_s"] == video.times_s


def grounded(folder: Path, objects: Any, answer: str = "<bbox>") -> Dataset:
    messages = [{"role": "user", "content": "<image>find <ref-object>"}, {"role": "assistant", "content": answer}]
    row = {"messages": messages, "images": ["a.png"], **({} if objects is None else {"objects": objects})}
    return read_dataset(save(folder, "rows.jsonl", [row, {"messages": [{"role": "user", "content": "?"},
                                                               {"role": "assistant", "content": "!"}]}]))  # fmt: skip


def test_boxes_of_ms_swift_are_learned_in_thousandths_of_their_picture(folder: Path) -> None:
    dataset = grounded(folder, {"ref": ["the cat"], "bbox": [[16, 12, 32, 48]]})  # of 64 x 48 pixels
    assert dataset.samples[0].messages[0].text == "find the cat"
    assert dataset.samples[0].answer == "[250, 250, 500, 1000]"
    shares = {"ref": ["the cat"], "bbox": [[0.25, 0.25, 0.5, 1]], "bbox_type": "norm1"}
    assert grounded(folder, shares).samples[0].answer == "[250, 250, 500, 1000]"


def test_rows_of_ms_swift_with_query_and_response_are_learned(folder: Path) -> None:
    row = {"query": "<image>find <ref-object>", "response": "<bbox>", "images": ["a.png"], "system": "Look.",
           "history": [["Hello?", "Yes."]], "objects": {"ref": ["the cat"], "bbox": [[16, 12, 32, 48]]}}  # fmt: skip
    dataset = read_dataset(save(folder, "rows.jsonl", [row, {"query": "And?", "response": "No."}]))
    assert dataset.decided == "alpaca, by 'query' and 'response'"
    first, second = dataset.samples
    assert [message.text for message in first.messages] == [
        "Look.", "Hello?", "Yes.", "find the cat", "[250, 250, 500, 1000]"
    ]  # fmt: skip
    assert (second.messages[0].text, second.answer) == ("And?", "No.")
    (sample,) = read_dataset(save(folder, "rows.jsonl", [{**row, "objects": None}, row])).samples
    assert sample.answer == "[250, 250, 500, 1000]", "a literal mark is never learned"


@pytest.mark.parametrize(
    ("objects", "reason"),
    [(None, "there is no 'objects' that says what they are"), ({"ref": ["cat"], "bbox": []}, "more <bbox> marks"),
     ({"ref": ["cat"], "bbox": [[1, 2]] * 2}, "1 of its boxes"), ({"ref": ["cat"], "bbox": ["here"]}, "no [x1, y1"),
     ({"ref": ["cat"], "bbox": [[1, 2, 3, 4]], "image_id": [3]}, "of picture 3"), ([1], "'objects' is list")],
)  # fmt: skip
def test_a_literal_mark_is_never_learned(folder: Path, objects: Any, reason: str) -> None:
    dataset = grounded(folder, objects)
    assert len(dataset.samples) == 1 and reason in dataset.broken[0].reason


def test_open_eqa_shows_evenly_spaced_frames_of_the_episode(folder: Path) -> None:
    episode = folder / "frames" / "scan" / "0001"
    episode.mkdir(parents=True)
    for number in range(15):
        Image.new("RGB", (32, 32)).save(episode / f"{number:05d}-rgb.png")
        Image.new("L", (32, 32)).save(episode / f"{number:05d}-depth.png")
    row = {
        "question": "Where is the lamp?", "answer": "On the desk", "extra_answers": ["The desk"],
        "category": "object localization", "question_id": "q1", "episode_history": "scan/0001",
    }  # fmt: skip
    file = save(folder, "eqa.json", [row])
    dataset = read_dataset(file, image_folder=folder / "frames")
    (sample,) = dataset.samples
    assert sample.id == "q1" and sample.category == "object localization" and sample.references == ("The desk",)
    names = [f"{number:05d}-rgb.png" for number in (0, 2, 4, 6, 8, 10, 12, 14)]
    assert said(dataset)[0] == ("user", names, "Where is the lamp?")
    three = read_dataset(file, image_folder=folder / "frames", options=ReadOptions(frames=3, frames_as="images"))
    shown: Message = three.samples[0].messages[0]
    assert [part.path.name for part in shown.parts if isinstance(part, ImageFile)] == [
        names[0],
        "00007-rgb.png",
        names[-1],
    ]


def test_of_many_answers_the_most_frequent_is_learned_and_all_others_are_references(folder: Path) -> None:
    dataset = read(folder, {"image": "a.png", "question": "What?", "answers": ["net", "mesh", "net", "net"]})
    assert dataset.format == "vqa"
    assert dataset.samples[0].answer == "net" and dataset.samples[0].references == ("mesh", "net", "net")


def test_json_lines_are_read_under_either_name(folder: Path) -> None:
    lines = '{"instruction": "a\u2028b", "output": "c"}\n\n{"instruction": "d", "output": "e"}\n'
    for name in ("rows.jsonl", "rows.json"):
        dataset = read_dataset(save(folder, name, lines))
        assert [(s.messages[0].text, s.origin.line) for s in dataset.samples] == [("a\u2028b", 1), ("d", 3)]


def test_parquet_rows_are_read_where_pyarrow_is_there(folder: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"messages": [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "a"}],
             "images": ["a.png"]}]  # fmt: skip
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "rows.parquet")
    assert said(read_dataset(folder / "rows.parquet")) == [("user", A, "?"), ("assistant", "a")]


INFO = {
    "own": {
        "file_name": "own.json",
        "formatting": "sharegpt",
        "columns": {"messages": "talk", "images": "pics"},
        "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "U", "assistant_tag": "M"},
    },
    "plain": {"file_name": "plain.json", "num_samples": 1, "columns": {"prompt": "q", "response": "a"}},
    "remote": {"hf_hub_url": "org/name"},
    "typo": {"file_name": "own.json", "colums": {}},
    "ranked": {"file_name": "own.json", "ranking": True},
}


def test_dataset_info_names_files_columns_and_tags(folder: Path) -> None:
    save(folder, "dataset_info.json", INFO)
    talk = [{"who": "U", "what": "<image>?"}, {"who": "M", "what": "a"}]
    own = save(folder, "own.json", [{"talk": talk, "pics": ["a.png"], "id": "x"}])
    save(folder, "plain.json", [{"q": "Two?", "a": "2"}, {"q": "Three?", "a": "3"}])
    dataset = read_named("own, plain", folder)
    assert [s.id for s in dataset.samples] == ["x", "plain-1"] and dataset.format == "sharegpt+alpaca"
    assert said(dataset) == [("user", A, "?"), ("assistant", "a")]
    assert said(dataset, 1) == [("user", "Two?"), ("assistant", "2")]
    assert read_dataset(own).decided == "sharegpt, as dataset_info.json says of 'own'"
    assert sorted(s.id for s in read_dataset(folder).samples) == ["plain-1", "x"]
    with pytest.raises(DatasetNotRegistered, match="did you mean 'plain'"):
        read_dataset(folder / "plan")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("remote", "lorgnette data pull"),
        ("typo", "unknown key 'colums'.*did you mean 'columns'"),
    ],
)
def test_an_entry_that_cannot_be_used_says_what_to_do(folder: Path, name: str, words: str) -> None:
    save(folder, "dataset_info.json", INFO)
    with pytest.raises(EntryInvalid, match=words):
        read_dataset(folder / name)


def test_a_registered_ranking_without_a_pair_is_a_broken_row(folder: Path) -> None:
    save(folder, "dataset_info.json", INFO)
    save(folder, "own.json", [{"instruction": "Which?", "output": "this"}, {"instruction": "Which?", "rejected": "x"}])
    reasons = [broken.reason for broken in read_dataset(folder / "ranked").broken]
    assert reasons == ["a chosen answer without a rejected one", "a rejected answer without a chosen one"]


ASKED = {"role": "user", "content": "What is this?"}
PARTS = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]


def answered(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize(
    "row",
    [
        {"chosen_messages": [ASKED, answered([{"type": "text", "value": "A cat."}])],
         "rejected_messages": [ASKED, answered([{"type": "text", "value": "A dog."}])]},
        {"prompt": "What is this?", "chosen": [ASKED, answered("A cat.")], "rejected": [ASKED, answered("A dog.")],
         "messages": [ASKED, answered("A cat.")]},
        {"prompt": "What is this?", "chosen": "A cat.", "rejected": "A dog."},
        {"prompt": [ASKED], "chosen": [answered("A cat.")], "rejected": [answered("A dog.")]},
        {"prompt": PARTS, "chosen": [answered("A cat.")], "rejected": [answered("A dog.")], "images": ["a.png"]},
    ],
)  # fmt: skip
def test_two_conversations_that_part_at_their_last_message_are_a_pair(folder: Path, row: dict[str, Any]) -> None:
    [sample] = read(folder, row).samples
    assert [message.text for message in sample.messages] == ["What is this?", "A cat."]
    assert sample.rejected == "A dog." and len(sample.pictures) == ("images" in row)


def test_conversations_that_differ_earlier_are_no_pair(folder: Path) -> None:
    other = {"role": "user", "content": "And this?"}
    row = {"chosen_messages": [ASKED, answered("A cat.")], "rejected_messages": [other, answered("A dog.")]}
    [broken] = read_dataset(save(folder, "rows.json", [row])).broken
    assert broken.reason == "'chosen_messages' and 'rejected_messages' differ before their last message"


def test_an_answer_that_is_not_to_be_learned_is_said_and_not_learned(folder: Path) -> None:
    row = {"messages": [ASKED, {**answered("A cat."), "loss_weight": 0.0}]}
    [broken] = read_dataset(save(folder, "rows.json", [row])).broken
    assert "'loss_weight' 0" in broken.reason and "mask_history" in broken.reason


def test_rows_of_a_registered_set_with_sounds_are_left_out_and_not_learned_without_them(folder: Path) -> None:
    talk = [{"from": "human", "value": "<audio>What is heard?"}, {"from": "gpt", "value": "A bell."}]
    columns = {"messages": "conversations", "audios": "sounds"}
    save(folder, "dataset_info.json", {"bells": {"file_name": "b.json", "formatting": "sharegpt", "columns": columns}})
    save(folder, "b.json", [{"conversations": talk, "sounds": ["bell.wav"]}])
    assert [broken.reason for broken in read_dataset(folder / "bells").broken] == ["audio is not supported"]


def test_parts_of_reasoning_and_calls_are_in_the_words_of_the_template(folder: Path) -> None:
    call = '{"name": "add", "arguments": {"a": 1}}'
    parts = [{"type": "reasoning", "value": "One more."}, {"type": "tool_call", "value": call}]
    asked = {"role": "user", "content": [{"type": "text", "value": "One and one?"}]}
    path = save(folder, "t.jsonl", json.dumps({"messages": [asked, {"role": "assistant", "content": parts}]}))
    (sample,) = read_dataset(path).samples
    assert sample.messages[1].text == f"<think>\nOne more.\n</think>\n\n<tool_call>\n{call}\n</tool_call>"


def test_a_folder_of_files_is_one_data_set_and_max_samples_holds_over_all(folder: Path) -> None:
    for name in ("1.json", "2.json"):
        save(folder, name, [{"instruction": name, "output": str(n)} for n in range(3)])
    dataset = read_dataset(folder, max_samples=4)
    assert [s.messages[0].text for s in dataset.samples] == ["1.json", "1.json", "1.json", "2.json"]


def test_files_that_are_no_data_are_refused(folder: Path) -> None:
    with pytest.raises(DatasetNotFound, match="no data file"):
        read_dataset(folder / "none.json")
    with pytest.raises(DatasetKindUnknown, match=r"a\.png"):
        read_dataset(folder / "a.png")
    with pytest.raises(DatasetFormatUnknown, match="its rows have the keys 'x', 'y'"):
        read_dataset(save(folder, "rows.json", [{"x": 1, "y": 2}]))
    with pytest.raises(DatasetFormatUnknown, match="it holds no rows"):
        read_dataset(save(folder, "rows.json", "[]"))
    with pytest.raises(DatasetUnreadable, match="Expecting value"):
        read_dataset(save(folder, "rows.json", "nonsense"))
    (folder / "t.csv").write_bytes(b"a,b\n\xff\xff\xff\x00")
    with pytest.raises(DatasetUnreadable, match="GB18030"):
        read_dataset(folder / "t.csv")
    with pytest.raises(DatasetFormatUnknown, match="no format 'alpacca'"):
        read_dataset(folder / "rows.json", format="alpacca")
