"""Rows that a reader can count: discs of four colours, and a quick configuration that trains on them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from finetune.config.loading import load_config
from finetune.config.schema import FinetuneConfig

COLORS = {"red": (215, 40, 40), "green": (40, 160, 60), "blue": (45, 75, 220), "yellow": (240, 215, 40)}
SIZES = ((200, 160), (160, 160), (240, 120))


def draw_disc(path: Path, color: str, size: tuple[int, int]) -> Path:
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).ellipse((40, 30, 100, 90), fill=COLORS[color])
    image.save(path)
    return path


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 rows of a picture and what it is; the file rows.csv beside them."""
    folder = tmp_path_factory.mktemp("discs")
    lines = ["image_path,caption"]
    for number in range(16):
        color = list(COLORS)[number % 4]
        draw_disc(folder / f"{number}.png", color, SIZES[number % 3])
        lines.append(f"{number}.png,{'a ' if number % 2 else 'this is one '}{color} disc")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder / "rows.csv"


@pytest.fixture
def quick(discs: Path, tmp_path: Path) -> Callable[..., FinetuneConfig]:
    """Give a configuration of a few steps on the discs; flags come on top."""

    def config(*flags: str) -> FinetuneConfig:
        return load_config(
            None,
            [
                f"--dataset={discs}", f"--output_dir={tmp_path / 'out'}", f"--vision_cache_dir={tmp_path / 'cache'}",
                "--per_device_train_batch_size=4", "--gradient_accumulation_steps=1", "--learning_rate=2e-3",
                "--lora_rank=4", "--max_steps=4", "--logging_steps=1", "--report_samples=0", "--plot_loss=false",
                "--save_strategy=no", *flags,
            ],
        )  # fmt: skip

    return config
