"""A folder of files that can be made again, whose size is bounded: the oldest make room. It makes none of them."""

from contextlib import suppress
from pathlib import Path

from common.atomic_files import write_whole


class BoundedFolder:
    """Several processes may share it: each file is written whole, and the same name always means the same content."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self._max_bytes = folder, max_bytes

    def keep(self, name: str, data: bytes) -> Path:
        """Write a file; the oldest ones make room.

        Raises:
            OSError: The folder cannot be written.
        """
        path = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, data, private=True, durable=False)
        self._make_room(path)
        return path

    def read(self, name: str) -> bytes | None:
        """Return a file; none where there is none of that name any more."""
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def _make_room(self, newest: Path) -> None:
        files = []
        for path in self.folder.iterdir():  # what a killed process left half written goes the same way
            with suppress(OSError):
                status = path.stat()
                files.append((path != newest, -status.st_mtime_ns, status.st_size, path))
        total = 0
        for _, _, size, path in sorted(files):
            total += size
            if total > self._max_bytes and path != newest:
                with suppress(OSError):
                    path.unlink()
