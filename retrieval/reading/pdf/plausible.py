"""How much a text looks like what people write, by its letters alone; it knows no dictionary and no file."""

import re
import unicodedata

# About two thirds of the letters of any language in Latin script are these.
_FREQUENT = frozenset("etaoinsr")
_MIN_LETTERS = 40
_LATIN = re.compile(r"[A-Za-z]")
_STRANGE = re.compile(r"[\ue000-\uf8ff\ufffd\ufffe\U000f0000-\U0010ffff\x00-\x08\x0e-\x1f\x80-\x9f]")
_SIGN = re.compile(r"[^\w\s.,;:!?'\"()\-–—/%&€$£+*#=§@•·|_~°]")
# Glyphs of a font without a table of characters, taken for these: the capitals begin at "$".
_SHIFT = 29
_SHIFTED_FROM = 6
_PUNCTUATION = frozenset("!\"#$%&'()*+,/:;<=>?@")
PLAUSIBLE = 0.55


def plausibility(text: str) -> float:
    """Return 0 to 1; under `PLAUSIBLE` a second reading is worth its time. Short texts are given the benefit."""
    written = "".join(text.split())
    if not written:
        return 0.0
    if _is_shifted(written) or _is_accented(written):
        return 0.0
    strange = len(_STRANGE.findall(written)) / len(written)
    signs = len(_SIGN.findall(written)) / len(written)
    points = max(0.0, 1.0 - 3.0 * strange) * (1.0 if signs < 0.1 else max(0.0, 1.2 - 2.0 * signs))
    plain = unicodedata.normalize("NFD", written)
    letters = _LATIN.findall(plain)
    if len(letters) < max(_MIN_LETTERS, len(written) // 3):
        return points
    share = sum(letter.lower() in _FREQUENT for letter in letters) / len(letters)
    # English 0.66, Polish 0.55, a text of shifted letters 0.2 to 0.4; a list of codes lies between.
    return points * min(1.0, max(0.0, (share - 0.3) / 0.2))


def _is_accented(written: str) -> bool:
    """Say whether nearly all its Latin letters have accents: Cyrillic, say, in a code page of the west."""
    letters = [sign for sign in written if sign.isalpha() and sign < "\u0250"]
    return len(letters) >= _SHIFTED_FROM and sum(letter > "\x7f" for letter in letters) > 0.8 * len(letters)


def _is_shifted(written: str) -> bool:
    """Say whether it is full of signs that are letters a constant further on, as of a short title in such a font."""
    if len(written) < _SHIFTED_FROM or sum(sign in _PUNCTUATION for sign in written) < 0.4 * len(written):
        return False
    # Digits are a constant before letters, too, and stand in sums and lists of numbers.
    signs = [sign for sign in written if not sign.isdigit()]
    digits = len(written) - len(signs)
    return digits <= len(signs) and (
        sum(_LATIN.match(chr(ord(sign) + _SHIFT)) is not None for sign in signs) >= 0.8 * len(signs)
    )
