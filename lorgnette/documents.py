"""The documents that the settings name, opened once for all who use them in this process.

A knowledge base has one owner among all processes, so that a second one in the same process would have to ask the
first; whoever needs the documents is therefore given this object. It searches nothing by itself.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import LorgnetteError
from common.home import data_home
from lorgnette.settings import Settings

if TYPE_CHECKING:
    from retrieval.knowledge_base import KnowledgeBase


class NoDocuments(LorgnetteError):
    """The folder of the documents is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        what = f"{str(folder)!r} is a file" if folder.is_file() else f"There is no folder {str(folder)!r}"
        super().__init__(f"{what}; name the folder of your documents with --kb DIR.")


class Documents:
    """Opens the knowledge base with its first use; safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opening = threading.Lock()
        self._base: KnowledgeBase | None = None

    def __enter__(self) -> "Documents":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> "KnowledgeBase | None":
        """Return the knowledge base; None if its folder is not there.

        Raises:
            RetrievalError: It cannot be opened.
        """
        if not self.settings.kb.is_dir():
            return None
        from retrieval.knowledge_base import KnowledgeBase

        with self._opening:
            if self._base is None:
                key = self.settings.api_key.get_secret_value() if self.settings.api_key else None
                self._base = KnowledgeBase(self.settings, data_home(), api_key=key)
            return self._base

    def required(self) -> "KnowledgeBase":
        """Return the knowledge base.

        Raises:
            NoDocuments: Its folder is not there.
            RetrievalError: It cannot be opened.
        """
        base = self.open()
        if base is None:
            raise NoDocuments(self.settings.kb)
        return base

    def close(self) -> None:
        """Close what was opened; another process may then own the indexes."""
        with self._opening:
            if self._base is not None:
                self._base.close()
                self._base = None
