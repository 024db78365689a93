"""In which languages questions were asked that the embedder does not know: how many, and nothing of what they said.

It lies beside the catalogue, and whatever hinders its writing costs the count and not the search.
"""

import json
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path


class AskedLanguages:
    """Counts of one knowledge base, by ISO 639-1 code."""

    def __init__(self, place: Path) -> None:
        self._file = place / "asked_languages.json"
        self._lock = threading.Lock()

    def note(self, language: str) -> None:
        """Count a question in that language."""
        with self._lock, suppress(OSError):
            counts = self.counts()
            counts[language] += 1
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(counts), "utf-8")
            new.replace(self._file)

    def counts(self) -> Counter[str]:
        """Return how many questions were asked in which language."""
        try:
            found = json.loads(self._file.read_text("utf-8"))
            return Counter({str(language): int(count) for language, count in found.items()})
        except (OSError, ValueError, AttributeError, TypeError):
            return Counter()

    def forget(self) -> None:
        """Begin anew, the embedder being another one."""
        with self._lock, suppress(OSError):
            self._file.unlink(missing_ok=True)
