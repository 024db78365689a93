"""Pictures that look like a picture, by a real CLIP with random weights: the same picture is nearest."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from retrieval.embedders.embedder import EmbedderMissing
from retrieval.embedders.pictures import PictureEmbedder
from retrieval.knowledge_base import NO_IMAGE_EMBEDDER, KnowledgeBase
from retrieval.reading.kept_figures import Figure
from retrieval.records import Filter, MediaType
from retrieval.regions.figures import figures_in
from retrieval.search.alike import look_alikes
from retrieval.settings import RetrievalSettings
from retrieval.sync.captions import Caption

pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer of 16 channels; its tokenizer knows single letters."""
    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(97, 123)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(words), "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 1}
    vision = {**small, "image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    CLIPModel(
        CLIPConfig(text_config={**text, "pad_token_id": 1}, vision_config=vision, projection_dim=8)
    ).save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)
    CLIPProcessor(CLIPImageProcessorPil(**sizes), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kb" / "more").mkdir(parents=True)
    for name, colour in (("red.png", "red"), ("blue.png", "blue"), ("more/green.png", "green")):
        Image.new("RGB", (7, 7), colour).save(tmp_path / "kb" / name)
    return tmp_path / "kb"


def opened(folder: Path, image_embedder: str | None) -> KnowledgeBase:
    settings = RetrievalSettings(kb=folder, embedder="none-of-ours", reranker="none", image_embedder=image_embedder)
    base = KnowledgeBase(settings, folder.parent / "home")
    base.sync()
    return base


def test_the_picture_that_looks_the_same_is_nearest_and_vectors_are_kept(clip: Path, folder: Path) -> None:
    base = opened(folder, str(clip))
    hits, notes = base.alike(Image.new("RGB", (90, 90), "blue"), 2)
    assert hits[0].source == "blue.png" and len(hits) == 2 and notes == ()
    assert hits[0].score == pytest.approx(1.0, abs=1e-3) and hits[0].match == "weak"
    assert hits[0].text == "blue.png" and hits[0].headings == ("picture",)
    (kept,) = (base.place / "looks").iterdir()
    before = kept.stat().st_mtime_ns
    base.alike(Image.new("RGB", (9, 9), "red"))
    assert kept.stat().st_mtime_ns == before
    within, _ = base.alike(Image.new("RGB", (90, 90), "blue"), 5, Filter(source="more"))
    assert [hit.source for hit in within] == ["more/green.png"]
    base.close()


def test_what_there_was_no_time_for_is_said_and_done_next(clip: Path, folder: Path) -> None:
    base, embedder = opened(folder, str(clip)), PictureEmbedder(str(clip))
    image = Image.new("RGB", (90, 90), "blue")
    hits, notes = look_alikes(base.catalogue, base.folder, embedder, image, 5, budget_s=0.0)
    assert hits == () and "3 pictures and documents were not compared yet" in notes[0]
    base.close()


def with_figures(folder: Path, colours: tuple[str, ...]) -> None:
    """A page a colour, each with words and a figure of it."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    canvas: Any = Canvas(str(folder / "report.pdf"), pagesize=(600, 800))
    for colour in colours:
        canvas.drawString(60, 700, f"Words beside the figure in {colour}.")
        canvas.drawImage(ImageReader(Image.new("RGB", (300, 300), colour)), 60, 400, 180, 160)
        canvas.showPage()
    canvas.save()


class Captions:
    def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
        return Caption("A square.", "fake")


def test_figures_inside_documents_are_compared_too(clip: Path, folder: Path) -> None:
    with_figures(folder, ("yellow", "purple"))
    base = opened(folder, str(clip))
    hits, notes = base.alike(Image.new("RGB", (90, 90), "purple"), 1)
    assert (hits[0].source, hits[0].page, notes) == ("report.pdf", 2, ())
    assert hits[0].score == pytest.approx(1.0, abs=1e-3) and "purple" in hits[0].text, "no caption yet: its page"
    list(base.captions(Captions()))
    (hit,), _ = base.alike(Image.new("RGB", (90, 90), "purple"), 1)
    assert hit.headings == ("figure", "2") and base.locate(hit).regions[0].page == 2
    base.close()


def test_a_document_goes_on_where_there_was_no_time_for_more(clip: Path, folder: Path) -> None:
    with_figures(folder, ("yellow", "purple", "orange"))
    base, embedder = opened(folder, str(clip)), PictureEmbedder(str(clip))
    image, found = Image.new("RGB", (90, 90), "orange"), list[int]()

    def slowly(data: bytes, media_type: MediaType) -> Iterator[Figure]:
        for figure in figures_in(data, media_type):
            found.append(figure.page or 0)
            yield figure

    only = Filter(source="report.pdf")
    ticks = iter([0.0, 0.0, *[9.0] * 50])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("retrieval.search.alike.time.monotonic", lambda: next(ticks))
        hits, notes = look_alikes(base.catalogue, base.folder, embedder, image, 5, only, slowly, budget_s=1.0)
    assert [hit.page for hit in hits] == [1] and "1 pictures and documents were not compared yet" in notes[0]
    hits, notes = look_alikes(base.catalogue, base.folder, embedder, image, 5, only, slowly)
    assert hits[0].page == 3 and len(hits) == 3 and notes == ()
    found.clear()
    look_alikes(base.catalogue, base.folder, embedder, image, 5, only, slowly)
    assert found == [], "what is known is not looked at again"
    base.close()


@pytest.mark.parametrize(("name", "says"), [(None, NO_IMAGE_EMBEDDER), ("no/such-model", "lorgnette model pull")])
def test_without_a_model_nothing_is_compared_and_that_is_said(name: str | None, says: str, folder: Path) -> None:
    base = opened(folder, name)
    hits, (note,) = base.alike(Image.new("RGB", (9, 9), "red"))
    assert hits == () and says in note
    base.close()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EmbedderMissing):
        PictureEmbedder(str(tmp_path))
