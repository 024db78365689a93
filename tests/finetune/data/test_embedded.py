"""Pictures that rows hold themselves, as Hugging Face's Parquet files do, become files once, or are broken rows."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from finetune.data.dataset import Dataset, read_dataset
from finetune.data.formats.reading import ReadOptions
from finetune.data.sample import ImageFile
from finetune.output_files import OutputRefused


def picture(color: str, format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(buffer, format)
    return buffer.getvalue()


def write_parquet(file: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows), file, **options)
    return file


def shown(dataset: Dataset) -> list[list[bytes]]:
    """Return the bytes of the pictures of each sample."""
    return [[path.read_bytes() for path in sample.pictures] for sample in dataset.samples]


def test_pictures_of_hugging_face_become_files_named_by_their_content_and_are_written_once(tmp_path: Path) -> None:
    red, blue = picture("red"), picture("blue", "JPEG")
    rows = [
        {"image": {"bytes": red, "path": "0.png"}, "text": "red"},
        {"image": {"bytes": blue, "path": None}, "text": "blue"},
        {"image": {"bytes": red, "path": "2.png"}, "text": "red again"},
    ]
    file = write_parquet(tmp_path / "train.parquet", rows)
    dataset = read_dataset(file)
    assert dataset.broken == [] and shown(dataset) == [[red], [blue], [red]]
    assert dataset.decided == (
        f"vqa, by 'image' and 'text'; 2 pictures that stand in the rows are kept in {str(tmp_path / 'pictures')!r}"
    )
    files = sorted((tmp_path / "pictures").iterdir())
    assert [file.suffix for file in sorted(files, key=lambda file: file.suffix)] == [".jpg", ".png"]
    assert set(dataset.sizes.values()) == {(64, 48)}
    before = [file.stat().st_mtime_ns for file in files]
    assert shown(read_dataset(file)) == shown(dataset)
    assert [file.stat().st_mtime_ns for file in files] == before


def test_a_file_that_a_crash_cut_off_is_written_again(tmp_path: Path) -> None:
    red = picture("red")
    file = write_parquet(tmp_path / "train.parquet", [{"image": red, "text": "red"}])
    (path,) = read_dataset(file).samples[0].pictures
    path.write_bytes(b"")
    assert shown(read_dataset(file)) == [[red]]


def test_lists_of_pictures_stand_where_the_markers_are(tmp_path: Path) -> None:
    red, blue = picture("red"), picture("blue")
    said = [{"role": "user", "content": "<image>and <image>?"}, {"role": "assistant", "content": "Colours."}]
    rows = [{"messages": said, "images": [{"bytes": red, "path": None}, {"bytes": blue, "path": None}]}]
    dataset = read_dataset(write_parquet(tmp_path / "train.parquet", rows))
    first, words, second, mark = dataset.samples[0].messages[0].parts
    assert isinstance(first, ImageFile) and first.path.read_bytes() == red and words == "and "
    assert isinstance(second, ImageFile) and second.path.read_bytes() == blue and mark == "?"


def test_parts_of_content_may_hold_their_pictures(tmp_path: Path) -> None:
    red = picture("red")
    part = {"type": "image", "text": None, "image": {"bytes": red, "path": None}}
    asked = {"role": "user", "content": [part, {"type": "text", "text": "Colour?", "image": None}]}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Red.", "image": None}]}
    dataset = read_dataset(write_parquet(tmp_path / "train.parquet", [{"messages": [asked, answer]}]))
    assert shown(dataset) == [[red]]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"no picture", "the picture in the row is no readable PNG"),
        (b"", "the picture in the row is no readable PNG"),
        (picture("red")[:20], "the picture in the row is no readable PNG"),
        (None, "without bytes and without a name"),
        (bytes(64 * 2**20 + 1), "the picture in the row has more than 67,108,864 bytes"),
    ],
)
def test_bytes_that_are_no_picture_are_a_broken_row(tmp_path: Path, image: bytes | None, reason: str) -> None:
    good = {"image": {"bytes": picture("red"), "path": None}, "text": "red"}
    rows = [good, {"image": {"bytes": image, "path": None}, "text": "nothing"}, good]
    dataset = read_dataset(write_parquet(tmp_path / "train.parquet", rows))
    (broken,) = dataset.broken
    assert str(broken).startswith("train.parquet:2: ") and reason in broken.reason
    assert [sample.origin.line for sample in dataset.samples] == [1, 3]
    assert len(list((tmp_path / "pictures").iterdir())) == 1


def test_a_picture_of_hugging_face_without_bytes_is_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("red"))
    rows = [{"image": {"bytes": None, "path": "a.png"}, "text": "red"}]
    assert read_dataset(write_parquet(tmp_path / "train.parquet", rows)).samples[0].pictures == (tmp_path / "a.png",)


def test_a_data_url_becomes_a_file_too(tmp_path: Path) -> None:
    red = picture("red")
    whole = "data:image/png;base64," + base64.b64encode(red).decode()
    rows = [
        {"messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},
            {"role": "assistant", "content": "Red."},
        ]}
        for url in (whole, whole[:60] + "!", "data:image/png;base64")
    ]  # fmt: skip
    (tmp_path / "rows.json").write_text(json.dumps(rows), "utf-8")
    dataset = read_dataset(tmp_path / "rows.json")
    assert shown(dataset) == [[red]]
    assert [broken.reason for broken in dataset.broken] == [
        "a data: URL whose base64 is damaged", "a data: URL without a comma",
    ]  # fmt: skip


def test_a_folder_that_cannot_hold_the_pictures_is_an_error_and_no_broken_row(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("in the way")
    file = write_parquet(tmp_path / "train.parquet", [{"image": picture("red"), "text": "red"}])
    with pytest.raises(OutputRefused, match="choose another place"):
        read_dataset(file)


def test_beside_a_read_only_file_the_users_cache_takes_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.data.embedded.os.access", lambda *_: False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    file = write_parquet(tmp_path / "train.parquet", [{"image": picture("red"), "text": "red"}])
    (path,) = read_dataset(file).samples[0].pictures
    assert path.parent == tmp_path / "cache" / "lorgnette" / "pictures" and not (tmp_path / "pictures").exists()


def test_a_parquet_file_that_breaks_off_is_listed_where_it_does(tmp_path: Path) -> None:
    rows = [{"instruction": f"{number}?" * 9, "output": "a"} for number in range(100)]
    file = write_parquet(tmp_path / "train.parquet", rows, row_group_size=50, compression="gzip", use_dictionary=False)
    parquet = pytest.importorskip("pyarrow.parquet")
    second = parquet.ParquetFile(file).metadata.row_group(1).column(0)
    data = bytearray(file.read_bytes())
    data[second.data_page_offset : second.data_page_offset + second.total_compressed_size] = bytes(
        second.total_compressed_size
    )
    file.write_bytes(data)
    dataset = read_dataset(file)
    assert 32 <= len(dataset.samples) <= 50
    (broken,) = dataset.broken
    assert broken.origin.line == len(dataset.samples) + 1 and "nothing from here on could be read" in broken.reason


def test_pictures_in_rows_are_kept_where_checking_is_not_asked_for(tmp_path: Path) -> None:
    red = picture("red")
    file = write_parquet(tmp_path / "train.parquet", [{"image": red, "text": "red"}])
    assert shown(read_dataset(file, options=ReadOptions(check_pictures=False))) == [[red]]


def test_a_folder_of_imagefolder_names_files(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("red"))
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "red"}\n', "utf-8")
    dataset = read_dataset(tmp_path / "metadata.jsonl")
    assert shown(dataset) == [[picture("red")]] and dataset.samples[0].answer == "red"
