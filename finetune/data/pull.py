"""Downloads data sets that the user names, from Hugging Face or ModelScope. Nothing else here uses the network.

It runs no code of a data set and reads no row of it, but for the COCO captions, which it writes as pictures and a CSV.
"""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from common.safe_text import first_line
from finetune.errors import FinetuneError
from finetune.output_files import whole_file
from model.hub import HUB_ID, MODELSCOPE, MissingExtra

COCO = "coco-captions"
COCO_ID = "modelscope/coco_2014_caption"
COCO_TABLE = "coco-captions.csv"
# rows, pictures, and what packs them; no scripts and no pickles
FILES = [
    "*.json", "*.jsonl", "*.csv", "*.tsv", "*.parquet", "*.png", "*.jpg", "*.jpeg", "*.webp", "*.gif", "*.bmp",
    "*.zip", "*.tar", "*.tar.gz", "*.md", "*.txt", "LICENSE*",
]  # fmt: skip
Loader = Callable[[str], Iterable[Mapping[str, Any]]]


class DatasetUnavailable(FinetuneError):
    """A download that did not come about; `reason` is the hub's or the network's."""

    def __init__(self, name: str, reason: str, fix: str) -> None:
        self.name, self.reason, self.fix = name, reason, fix
        super().__init__(f"The data set {name!r} could not be downloaded: {reason}; {fix}.")


def pull_dataset(name: str, folder: Path, *, download: Callable[..., str | Path] | None = None) -> Path:
    """Download a data set's files into the folder, or what is missing of them, and return it.

    Args:
        name: An id of Hugging Face, or `modelscope:ORG/NAME`.
        folder: Where the files go.
        download: Takes the place of the hub's `snapshot_download`.

    Raises:
        DatasetUnavailable: No network, no such data set, no access, no space.
        MissingExtra: A ModelScope id without the `modelscope` package.
    """
    id_ = name.removeprefix(MODELSCOPE)
    if not HUB_ID.fullmatch(id_):
        raise DatasetUnavailable(name, "this is no hub id", f"an id looks like 'ORG/NAME'; {COCO!r} is known, too")
    download = download or (_modelscope() if name.startswith(MODELSCOPE) else _hugging_face())
    try:
        return Path(download(id_, local_dir=str(folder), allow_patterns=FILES))
    except (OSError, RuntimeError, ValueError) as error:  # hub errors, connection errors and a full disk
        raise DatasetUnavailable(
            name, first_line(error.__cause__ or error), "check the id, the network and the disk space"
        ) from error


def pull_coco_captions(
    folder: Path,
    count: int,
    *,
    split: str = "train",
    load: Loader | None = None,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write the first pictures of COCO 2014 captions with one caption each and return the CSV.

    Args:
        folder: Where the pictures and the table go.
        count: Of pictures.
        split: train or validation.
        load: Returns the rows of a split, each with image_id, caption and a PIL image; ModelScope's by default.
        progress: Called with the number of pictures so far.

    Raises:
        DatasetUnavailable: As above.
        MissingExtra: The `modelscope` package is missing.
    """
    rows = []
    try:
        for number, item in enumerate(islice((load or _coco)(split), count), 1):
            name = f"{re.sub(r'[^0-9A-Za-z_-]', '_', str(item['image_id']))}.jpg"
            with whole_file(folder / name) as part:
                item["image"].convert("RGB").save(part, "JPEG", quality=95)
            rows.append({"image_path": name, "caption": item["caption"]})
            if progress is not None:
                progress(number)
    except MissingExtra:
        raise
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise DatasetUnavailable(
            COCO, first_line(error.__cause__ or error), "check the network and the disk space"
        ) from error
    table = folder / COCO_TABLE
    with whole_file(table) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, ["image_path", "caption"])
        writer.writeheader()
        writer.writerows(rows)
    return table


def _hugging_face() -> Callable[..., str]:
    from huggingface_hub import snapshot_download

    def download(name: str, **options: Any) -> str:
        return str(snapshot_download(name, repo_type="dataset", **options))

    return download


def _modelscope() -> Callable[..., str]:
    try:
        from modelscope.hub.snapshot_download import dataset_snapshot_download
    except ImportError as error:
        raise MissingExtra("modelscope", "modelscope") from error

    def download(name: str, **options: Any) -> str:
        return str(dataset_snapshot_download(name, **options))

    return download


def _coco(split: str) -> Iterable[Mapping[str, Any]]:
    try:
        from modelscope.msdatasets import MsDataset
    except ImportError as error:
        raise MissingExtra("modelscope", "modelscope") from error
    rows: Iterable[Mapping[str, Any]] = MsDataset.load(COCO_ID, subset_name=COCO_ID.split("/")[1], split=split)
    return rows
