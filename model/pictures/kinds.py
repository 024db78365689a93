"""Tells by the first bytes what a file that shall be looked at is. It decodes nothing."""

from typing import Literal

Kind = Literal["picture", "film", "pdf", "sound"]

HEAD_BYTES = 4096
"""So many first bytes suffice."""
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"MiHE")
_FILM_ATOMS = (b"moov", b"mdat", b"wide", b"skip", b"pnot")
_EBML, _ASF, _FLV, _OGG, _PROGRAM = (
    b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"FLV\x01", b"OggS", b"\x00\x00\x01\xba",
)  # fmt: skip
_TRANSPORT, _TRANSPORT_STEP = 0x47, 188


def kind_of(head: bytes) -> Kind:
    """Return what the file is by its first `HEAD_BYTES`; a picture where nothing else is known."""
    atom = head[4:8]
    if atom == b"ftyp":
        return "picture" if head[8:12] in _PICTURE_BRANDS else "sound" if head[8:11] == b"M4A" else "film"
    if atom in _FILM_ATOMS or head.startswith((_EBML, _ASF, _FLV, _OGG, _PROGRAM)):
        return "film"
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WAVE"):
        return "film" if head[8:12] == b"AVI " else "sound"
    if head.startswith((b"ID3", b"fLaC", b"\xff\xfb", b"\xff\xf3", b"MThd")):
        return "sound"
    if len(head) > 2 * _TRANSPORT_STEP and all(head[n * _TRANSPORT_STEP] == _TRANSPORT for n in range(3)):
        return "film"
    return "pdf" if b"%PDF-" in head[:1024] else "picture"
