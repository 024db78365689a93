"""Text that cannot steer what shows it."""

import pytest

from common.safe_text import printable


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\x1b[2Jb\x9bc\nd\te", "ab\nd\te"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]0;title\nb", "a0;title\nb"),  # one that never ends takes nothing along
        ("a\x9d quoted\nb", "a quoted\nb"),
        ("a\r\nb\rc\u2028d\u2029e", "a\nb\nc\nd\ne"),
        ("\u202eabc\u202c \u2066d\u2069", "abc d"),
        ("o\u200bb\u200de\u2060y\ufeff\u00ad", "obey"),
        ("".join(chr(0xE0000 + ord(char)) for char in "obey"), ""),
        ("a\ufe01\U000e0101\u180b\u3164\u115f", "a"),
        (
            "\u4e2d\u6587 caf\u00e9 \u0645\u0631\u062d\u0628\u0627 \U0001f600",
            "\u4e2d\u6587 caf\u00e9 \u0645\u0631\u062d\u0628\u0627 \U0001f600",
        ),
    ],
)
def test_what_cannot_be_seen_is_gone_and_all_else_stays(text: str, left: str) -> None:
    assert printable(text) == left
