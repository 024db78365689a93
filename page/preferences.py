"""What the user chose in the page last: language, colours, effort. One small file; a broken one is begun anew."""

import logging
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from common.atomic_files import write_whole
from graph.settings import Effort

logger = logging.getLogger(__name__)


class Chosen(BaseModel):
    """The choices; all have a default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    language: Literal["auto", "en", "zh"] = "auto"
    """auto: the browser's."""
    colours: Literal["auto", "light", "dark"] = "auto"
    """auto: the system's."""
    effort: Effort | None = None
    """None: the setting."""
    use_documents: bool = True


class Preferences:
    """The file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.chosen = Chosen.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            self.chosen = Chosen()

    def change(self, **changes: object) -> None:
        """Remember other choices; a disk that cannot be written costs the memory alone."""
        self.chosen = Chosen.model_validate({**self.chosen.model_dump(), **changes})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, self.chosen.model_dump_json(), private=True, durable=False)
        except OSError as error:
            logger.warning("the page's choices are not remembered: %s", error)
