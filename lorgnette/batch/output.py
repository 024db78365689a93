"""The file of a batch's answers: a JSON object in each line, put behind the others as soon as it is there.

A line is `graph.answer.Answer` with the row's id, question and pictures in front, or has `error` and `code` in its
place. Each is written by one call to the system, so that a kill leaves whole lines; half a line, which a power cut may
leave, is taken away before the next one is written.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.atomic_files import is_disk_full, write_whole
from common.errors import LorgnetteError
from common.home import data_home
from lorgnette.batch.errors import BatchError
from lorgnette.batch.rows import BadRow, Row, RowId, id_key
from retrieval.locks import FileLock

if TYPE_CHECKING:
    from graph.answer import Answer

UNFORESEEN = "unforeseen_error"
_BEGINNING = b'{"id": '


class BatchOutput:
    """The answers so far; one process at a time writes them."""

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        """Read what stands in the file, and make it ready for more.

        Args:
            path: The file, which need not be there.
            retry_failed: Whether rows that failed are taken out, so that they are asked again.

        Raises:
            BatchError: It is another kind of file, it cannot be written, or another batch writes to it.
        """
        self.path = path
        self.done: set[str] = set()
        """Ids that need not be asked, by `id_key`."""
        self.failed = 0
        """Lines that hold an error."""
        self._lock = _locked(path)
        try:
            lines, whole = self._read(path.read_bytes() if path.exists() else b"")
            kept = [line for line, failed in lines if not (failed and retry_failed)]
            if len(kept) < len(lines):
                write_whole(path, b"".join(kept))
                self.done.clear()
                lines, whole = self._read(b"".join(kept))
            self.failed = sum(failed for _, failed in lines)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            os.ftruncate(self._descriptor, whole)
            os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            self._lock.release()
            reason = error.strerror or type(error).__name__
            raise BatchError("batch_output_unwritable", path=str(path), reason=reason) from None
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> "BatchOutput":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._lock.release()

    def has(self, row_id: RowId) -> bool:
        """Return whether the row was asked before."""
        return id_key(row_id) in self.done

    def write_answer(self, row: Row, answer: "Answer") -> None:
        """Add a row's answer; OSError as the system raises it."""
        self._write(row.id, {**_asked(row), **answer.model_dump(mode="json")})

    def write_error(self, row: Row | BadRow, error: Exception) -> None:
        """Add a row that failed; OSError as the system raises it."""
        code = error.code if isinstance(error, LorgnetteError) else UNFORESEEN
        text = str(error) if isinstance(error, LorgnetteError) else f"{type(error).__name__}: {error}"
        asked = _asked(row) if isinstance(row, Row) else {}
        self._write(row.id, {**asked, "error": " ".join(text.split()), "code": code})
        self.failed += 1

    def _write(self, row_id: RowId, content: dict[str, Any]) -> None:
        # A lone surrogate, which JSON may hold and UTF-8 may not, becomes its escape again.
        line = json.dumps({"id": row_id, **content}, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        begin = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, begin)
            error.filename = str(self.path) if is_disk_full(error) else error.filename
            raise
        self.done.add(id_key(row_id))

    def _read(self, data: bytes) -> tuple[list[tuple[bytes, bool]], int]:
        """Return the lines with whether each is a failure, and how many bytes of the file are whole lines."""
        lines: list[tuple[bytes, bool]] = []
        whole = 0
        for number, line in enumerate(_lines(data), start=1):
            if not line.endswith(b"\n") and (_BEGINNING.startswith(line) or line.startswith(_BEGINNING)):
                break  # half a line: its row is asked again
            whole += len(line)
            if not line.strip():
                continue
            with suppress(ValueError, RecursionError, TypeError, KeyError):
                read = json.loads(line)
                if "answer" in read or "error" in read:
                    self.done.add(id_key(read["id"]))
                    lines.append((line, "error" in read))
                    continue
            raise BatchError("batch_output_foreign", path=str(self.path), line=number)
        return lines, whole


def _lines(data: bytes) -> Iterator[bytes]:
    parts = data.split(b"\n")
    yield from (part + b"\n" for part in parts[:-1])
    if parts[-1]:
        yield parts[-1]


def _asked(row: Row) -> dict[str, Any]:
    shown = [image.partition(",")[0] if image.startswith("data:") else image for image in row.question.images]
    return {"question": row.question.text, "images": shown}


def _locked(path: Path) -> FileLock:
    """Hold the file against other batches; the lock lies in the data folder, not beside the user's file."""
    name = hashlib.sha256(os.path.realpath(path).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    folder = data_home() / "batches"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    if not lock.try_acquire():
        raise BatchError("batch_output_busy", path=str(path))
    return lock
