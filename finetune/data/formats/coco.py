"""COCO captions: one JSON object of `images` and `annotations`; each picture's captions are brought together."""

from collections.abc import Iterator
from typing import Any

from finetune.data.formats.reading import Reading
from finetune.data.rows import Row
from finetune.data.sample import Sample
from finetune.data.talk import Said, checked_text, messages_of
from finetune.data.unusable import Unusable


def rows_of(value: dict[str, Any]) -> Iterator[Row]:
    """Return one row a picture, its number the picture's place in `images`; and the annotations that have none."""
    images, annotations = value.get("images"), value.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list):
        yield Row(1, None, "'images' and 'annotations' are no lists")
        return
    captions: dict[Any, list[Any]] = {}
    stray: list[Row] = []
    known = {_id(image) for image in images}
    for place, annotation in enumerate(annotations, 1):
        picture = annotation.get("image_id") if isinstance(annotation, dict) else None
        if not isinstance(picture, (int, str)) or picture not in known:
            stray.append(Row(place, None, f"annotation {place} is of the picture {picture!r}, which is not listed"))
        elif not isinstance(caption := annotation.get("caption"), str) or not caption.strip():
            stray.append(Row(place, None, f"annotation {place} has no caption"))
        else:
            captions.setdefault(picture, []).append(caption)
    for place, image in enumerate(images, 1):
        key = _id(image)
        yield Row(place, {"image": image, "captions": [] if key is None else captions.get(key, [])})
    yield from stray


def read(value: Any, reading: Reading) -> list[Sample]:
    """Return the sample of one picture, or with the option `captions: all` one for each of its captions.

    Raises:
        Unusable: As the reason says.
    """
    image, given = value["image"], value["captions"]
    if not isinstance(image, dict) or not isinstance(image.get("file_name"), str):
        raise Unusable("a picture without 'file_name'")
    if not given:
        raise Unusable(f"the picture {image['file_name']!r} has no caption")
    captions = [checked_text(caption, "caption").strip() for caption in given]
    picture = reading.pictures.picture(image["file_name"])
    id_ = str(image.get("id", reading.origin.line))
    samples = []
    for number, caption in enumerate(captions if reading.options.captions == "all" else captions[:1]):
        said: list[Said] = [("user", [picture, reading.options.prompt]), ("assistant", [caption])]
        others = tuple(captions[:number] + captions[number + 1 :])
        name = id_ if reading.options.captions == "first" else f"{id_}-{number + 1}"
        samples.append(Sample(name, messages_of(said), reading.origin, references=others))
    return samples


def _id(image: Any) -> Any:
    key = image.get("id") if isinstance(image, dict) else None
    return key if isinstance(key, (int, str)) else None
