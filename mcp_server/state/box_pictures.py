"""Pictures with an answer's boxes drawn in: kept in a folder of bounded size, linked in results, read as resources.

What is drawn here belongs to one question; it draws nothing for pictures that came with earlier ones.
"""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError
from mcp.types import ResourceLink

from common.bounded_folder import BoundedFolder
from graph.answer import Answer
from lorgnette.answer_text import Drawn
from lorgnette.box_drawing import boxes_png, on_picture
from model.pictures.drawn import ID, URI, drawn_path
from model.pictures.picture import Picture

logger = logging.getLogger(__name__)

MAX_FOLDER_BYTES = 64 * 2**20
MAX_PNG_BYTES = 600_000  # as base64 in a result it stays below what clients accept


class DrawnPictures:
    """The folder. Several servers may share it: each file is written whole, and its name is its content's hash."""

    def __init__(self, folder: Path, max_bytes: int = MAX_FOLDER_BYTES) -> None:
        self._files = BoundedFolder(folder, max_bytes)

    def draw(self, answer: Answer, pictures: Sequence[Picture], first: int) -> tuple[list[Drawn], list[str]]:
        """Draw the answer's boxes, and return what was drawn and what could not be.

        Args:
            answer: Its boxes name pictures by number.
            pictures: Those of this question.
            first: Number of the first of them.
        """
        drawn, notes = [], []
        for number, picture in enumerate(pictures, first):
            boxes = [box for box in answer.boxes if box.image == number]
            if not boxes:
                continue
            try:
                name = self.keep(boxes_png(*on_picture(picture, boxes), MAX_PNG_BYTES))
            except OSError as error:
                logger.warning("a drawn picture could not be kept in %s: %s", self._files.folder, error)
                notes.append(f"boxes: no picture with them could be kept ({error.strerror or type(error).__name__})")
                continue
            width, height = picture.size
            path = str(self._path(name))
            drawn.append(Drawn(image=number, uri=URI.format(id=name), path=path, width=width, height=height))
        return drawn, notes

    def keep(self, png: bytes) -> str:
        """Write a picture and return its id; the oldest ones make room.

        Raises:
            OSError: The folder cannot be written.
        """
        name = hashlib.sha256(png).hexdigest()[:32]
        self._files.keep(self._path(name).name, png)
        return name

    def read(self, name: str) -> bytes | None:
        """Return a picture, none where there is none of that id any more."""
        return self._files.read(self._path(name).name) if ID.fullmatch(name) else None

    def _path(self, name: str) -> Path:
        return drawn_path(name, self._files.folder)


def links(drawn: Sequence[Drawn]) -> list[ResourceLink]:
    """Return a link for each drawn picture; never the picture itself, which clients drop beside structured data."""
    return [
        ResourceLink(
            type="resource_link",
            uri=one.uri,
            name=f"boxes-{one.image}.png",
            title=f"Picture {one.image} with its boxes",
            mime_type="image/png",
        )
        for one in drawn
    ]


def add_drawn_pictures(server: MCPServer[Any], pictures: DrawnPictures) -> None:
    """Register the resource template."""

    @server.resource(
        URI,
        name="picture",
        title="Picture with boxes",
        description="A picture of a question with the answer's boxes drawn in; the answer's `drawn` names it.",
        mime_type="image/png",
    )
    def picture(id: str) -> bytes:
        data = pictures.read(id)
        if data is None:
            raise ResourceNotFoundError(f"There is no picture {id!r} any more; ask the question again.")
        return data
