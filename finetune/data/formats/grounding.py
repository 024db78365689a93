"""ms-swift's `objects`: what stands for `<ref-object>` and `<bbox>` in a row, as Qwen3-VL reads and writes places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from finetune.data.pictures import Pictures
from finetune.data.sample import ImageFile, Message, Sample
from finetune.data.unusable import Unusable
from model.pictures.boxes import SCALE

REF, BOX = "<ref-object>", "<bbox>"


def fill_places(sample: Sample, objects: object, pictures: Pictures) -> Sample:
    """Return the sample with names and boxes in place of their marks; boxes in thousandths of their picture.

    `bbox_type` says what the numbers are: `real` pixels (the default), or `norm1`, shares of 1. `image_id` names the
    picture of each box, from 0; without it all are of the first.

    Raises:
        Unusable: There are other numbers of marks and objects, or a box is none.
    """
    text = "".join(message.text for message in sample.messages)
    if objects is None:
        if BOX in text or REF in text:
            raise Unusable(f"its words hold {REF} or {BOX}, and there is no 'objects' that says what they are")
        return sample
    if not isinstance(objects, Mapping):
        raise Unusable(f"'objects' is {type(objects).__name__}, not an object with ref and bbox")
    places = _Places(objects, [p.path for m in sample.messages for p in m.parts if isinstance(p, ImageFile)], pictures)
    messages = tuple(_filled(message, places) for message in sample.messages)
    places.finish()
    return replace(sample, messages=messages)


def _filled(message: Message, places: "_Places") -> Message:
    return replace(message, parts=tuple(places.fill(p) if isinstance(p, str) else p for p in message.parts))


@dataclass
class _Places:
    objects: Mapping[str, Any]
    paths: Sequence[Any]
    pictures: Pictures
    _used: dict[str, int] = field(default_factory=lambda: {REF: 0, BOX: 0})

    def fill(self, text: str) -> str:
        """Return the text with the next names and boxes in it, in their order."""
        for mark, words in ((REF, self._name), (BOX, self._box)):
            first, *rest = text.split(mark)
            text = first + "".join(words() + piece for piece in rest)
        return text

    def finish(self) -> None:
        """Refuse boxes that no mark asked for."""
        unused = len(self._listed("bbox")) - self._used[BOX]
        if self._used[BOX] and unused:
            raise Unusable(f"{unused} of its boxes are asked for by no {BOX}")

    def _listed(self, name: str) -> list[Any]:
        found = self.objects.get(name) or []
        if not isinstance(found, list):
            raise Unusable(f"'objects.{name}' is {type(found).__name__}, not a list")
        return found

    def _next(self, mark: str, name: str) -> tuple[int, Any]:
        number, there = self._used[mark], self._listed(name)
        if number >= len(there):
            raise Unusable(f"more {mark} marks than 'objects.{name}' has ({len(there)})")
        self._used[mark] += 1
        return number, there[number]

    def _name(self) -> str:
        return str(self._next(REF, "ref")[1])

    def _box(self) -> str:
        number, box = self._next(BOX, "bbox")
        numeric = isinstance(box, list) and len(box) in (2, 4) and all(isinstance(v, int | float) for v in box)
        if not numeric:
            raise Unusable(f"'objects.bbox' has {box!r:.60}, which is no [x1, y1, x2, y2]")
        ids = self._listed("image_id")
        of = int(ids[number]) if number < len(ids) else 0
        if not 0 <= of < len(self.paths):
            raise Unusable(f"a box is of picture {of}, and there are {len(self.paths)}")
        if self.objects.get("bbox_type") == "norm1":
            width = height = 1.0
        else:
            size = self.pictures.sizes.get(self.paths[of])
            if size is None:
                raise Unusable("the size of a picture with boxes is not known; read the rows with their pictures")
            width, height = map(float, size)
        edges = [min(SCALE, max(0, round(v * SCALE / (height if n % 2 else width)))) for n, v in enumerate(box)]
        return f"[{', '.join(map(str, edges))}]"
