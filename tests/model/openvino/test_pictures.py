import numpy as np
import pytest
from PIL import Image

from model.errors import ImageError
from model.openvino.pictures import PictureSizes
from model.qwen3_vl.load import Loaded
from model.qwen3_vl.processor import encode

TINY = {"patch_size": 16, "merge_size": 2, "size": {"shortest_edge": 20736, "longest_edge": 36864}}


def shown(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize("size", [(192, 192), (640, 480), (97, 133), (48, 80), (500, 30), (1000, 1000)])
def test_a_picture_is_read_as_transformers_reads_it(size: tuple[int, int], loaded: Loaded) -> None:
    picture = shown(*size)
    pixels = PictureSizes.of(TINY, None).pixels(picture)

    def by_transformers(image: Image.Image) -> tuple[list[int], np.ndarray]:
        inputs = encode(loaded.processor, [{"role": "user", "content": [{"type": "image", "image": image}]}])
        return inputs["image_grid_thw"][0].tolist(), inputs["pixel_values"].numpy()

    grid, patches = by_transformers(picture)
    assert [1, pixels.shape[1] // 16, pixels.shape[2] // 16] == grid
    channels = pixels[0].transpose(2, 0, 1).astype(np.float32) / 255 * 2 - 1
    blocks = channels.reshape(3, grid[1] // 2, 2, 16, grid[2] // 2, 2, 16)
    rows = blocks.transpose(1, 4, 2, 5, 0, 3, 6).reshape(-1, 3, 1, 16, 16)  # a patch of two frames, both the picture
    np.testing.assert_allclose(rows.repeat(2, axis=2).reshape(len(patches), -1), patches, atol=1e-6)


def test_a_budget_lowers_the_size_but_not_below_the_least() -> None:
    assert PictureSizes.of(TINY, 30_000).max_pixels == 30_000
    assert PictureSizes.of(TINY, 1_024).max_pixels == 20_736
    assert PictureSizes.of(TINY, 10**9).max_pixels == 36_864


def test_older_names_of_the_sizes_are_read() -> None:
    older = {"patch_size": 14, "merge_size": 2, "min_pixels": 3136, "max_pixels": 100_000}
    assert PictureSizes.of(older, None) == PictureSizes(28, 3136, 100_000)


def test_a_picture_that_is_too_thin_is_refused() -> None:
    with pytest.raises(ImageError, match="too thin"):
        PictureSizes.of(TINY, None).fitted(1000, 4)
