"""The words of the pictures inside a document, by OCR, up to a number of them."""

from collections.abc import Callable

MOST = 60
MAX_PIXELS = 50_000_000


class InnerPictures:
    """Of one document; who asks says what becomes of a picture that cannot be read."""

    def __init__(self, notes: list[str], left_out: str) -> None:
        """Begin to count.

        Args:
            notes: Of the document; gets one where there are more pictures than are read.
            left_out: The end of that note.
        """
        self._notes, self._left_out = notes, left_out
        self._asked = 0

    def words(self, read: Callable[[], bytes]) -> list[str]:
        """Return the lines of the next picture; none after the first `MOST`, which are not read.

        Raises:
            Unreadable: It is no picture, or a damaged one; and whatever `read` raises.
        """
        from retrieval.reading.ocr import lines_to_text, read_picture
        from retrieval.reading.pictures import open_picture

        if self._asked == MOST:
            self._notes.append(f"pictures after the first {MOST} {self._left_out}")
        self._asked += 1
        if self._asked > MOST:
            return []
        return lines_to_text(read_picture(open_picture(read(), max_pixels=MAX_PIXELS))).splitlines()
