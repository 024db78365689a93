"""Writes compound files ([MS-CFB]) of short streams alone, as small as tests need them."""

import struct
from collections.abc import Mapping

Folder = Mapping[str, "bytes | Folder"]
_SECTOR, _SHORT_SECTOR, _LONG = 512, 64, 4096
_END, _FREE, _FAT, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF
_ROOT, _STREAM, _STORAGE = 5, 2, 1


def compound_file(root: Folder) -> bytes:
    """Return the file that holds these streams (bytes) and folders."""
    entries: list[bytes] = [b""]  # the root's comes last, when all is known
    short, short_table = bytearray(), list[int]()

    def add(name: str, content: "bytes | Folder", next_one: int) -> int:
        if isinstance(content, bytes):
            assert len(content) < _LONG, "longer streams lie elsewhere"
            first = len(short_table)
            for at in range(0, len(content), _SHORT_SECTOR):
                short.extend(content[at : at + _SHORT_SECTOR].ljust(_SHORT_SECTOR, b"\0"))
                short_table.append(len(short_table) + 1)
            if content:
                short_table[-1] = _END
            entries.append(_entry(name, _STREAM, _NONE, next_one, first if content else _END, len(content)))
        else:
            entries.append(_entry(name, _STORAGE, add_all(content), next_one, 0, 0))
        return len(entries) - 1

    def add_all(folder: Folder) -> int:
        child = _NONE
        for name, content in reversed(list(folder.items())):
            child = add(name, content, child)
        return child

    child = add_all(root)
    data, fat = bytearray(), list[int]()

    def stored(content: bytes) -> int:
        first = len(fat)
        for at in range(0, len(content), _SECTOR):
            data.extend(content[at : at + _SECTOR].ljust(_SECTOR, b"\0"))
            fat.append(len(fat) + 1)
        fat[-1] = _END
        return first

    stream, table = stored(bytes(short)), stored(_table(short_table))
    entries[0] = _entry("Root Entry", _ROOT, child, _NONE, stream, len(short))
    directory = stored(b"".join(entries).ljust(-(-len(entries) // 4) * _SECTOR, b"\0"))
    fat.append(_FAT)
    assert len(fat) <= _SECTOR // 4, "one sector of the table is all that this writes"
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<5H6x", 62, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, 1, directory, 0, _LONG, table, len(_table(short_table)) // _SECTOR, _END, 0)
    header += struct.pack("<109I", len(fat) - 1, *[_FREE] * 108)
    return header + bytes(data) + _table(fat)


def _entry(name: str, kind: int, child: int, next_one: int, start: int, size: int) -> bytes:
    wide = name.encode("utf-16-le") + b"\0\0"
    head = wide.ljust(64, b"\0") + struct.pack("<HBB3I", len(wide), kind, 1, _NONE, next_one, child)
    return head + bytes(36) + struct.pack("<IQ", start, size)


def _table(numbers: list[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers).ljust(-(-max(1, len(numbers)) // 128) * _SECTOR, b"\xff")
