import codecs
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.reading.decode import decode
from retrieval.reading.unreadable import NotText

CHINESE = "中文文档应当按原来的编码读出，而不是变成乱码。知识库里的每一个文件都要说明它是怎样读的。"
TRADITIONAL = "這是一份用繁體中文寫的說明文件，我們要把它讀出來，而且不能有任何錯誤。"
JAPANESE = "これは日本語の文書です。文字コードを正しく読み取ることができます。カタカナも使います。"
KOREAN = "이것은 한국어로 쓴 문서입니다. 우리는 이 문서를 바르게 읽어야 하고 그 결과를 기록합니다."
FRENCH = "L’été dernier, le café « Élan » était fermé — où êtes-vous allés, à Besançon ?"
RUSSIAN = "Этот документ написан на русском языке, и его нужно прочитать без ошибок."
GREEK = "Αυτό το έγγραφο είναι γραμμένο στα ελληνικά και πρέπει να διαβαστεί σωστά."
POLISH = "Zażółć gęślą jaźń — ten dokument należy odczytać właściwie, także później."


@pytest.mark.parametrize(
    ("text", "written", "read"),
    [
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "gb2312", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        (JAPANESE, "shift_jis", "cp932"),
        (JAPANESE, "euc_jp", "euc_jp"),
        (KOREAN, "euc_kr", "cp949"),
        (FRENCH, "cp1252", "cp1252"),
        (POLISH, "cp1250", "cp1250"),
        (RUSSIAN, "cp1251", "cp1251"),
        (GREEK, "cp1253", "cp1253"),
        (CHINESE, "utf-16-le", "utf-16-le"),
        (CHINESE, "utf-16-be", "utf-16-be"),
        (KOREAN, "utf-16-be", "utf-16-be"),
        ("plain English, two bytes a letter\r\n", "utf-16-le", "utf-16-le"),
        ("plain English, four bytes a letter\r\n", "utf-32-be", "utf-32-be"),
    ],
)
def test_text_without_a_mark_is_told_by_the_characters_its_language_uses(text: str, written: str, read: str) -> None:
    decoded = decode(text.encode(written))
    assert (decoded.text, decoded.codec) == (text, read)
    assert decoded.confidence >= 0.5


@pytest.mark.parametrize(
    ("mark", "written", "read"),
    [
        (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
        (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
    ],
)
def test_a_byte_order_mark_decides_and_is_no_part_of_the_text(mark: bytes, written: str, read: str) -> None:
    decoded = decode(mark + "naïve 中文".encode(written))
    assert (decoded.text, decoded.codec, decoded.confidence) == ("naïve 中文", read, 1.0)


def test_a_false_byte_order_mark_is_refused() -> None:
    with pytest.raises(NotText, match="byte order mark"):
        decode(codecs.BOM_UTF8 + CHINESE.encode("gb18030"))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda s: s[0] != "\ufeff"))
def test_utf8_is_always_utf8(text: str) -> None:
    decoded = decode(text.encode())
    assert (decoded.text, decoded.codec, decoded.confidence) == (text, "utf-8", 1.0)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_without_loss_or_refused(data: bytes) -> None:
    try:
        decoded = decode(data)
    except NotText:
        return
    assert data.decode(decoded.codec) == decoded.text
    assert 0 <= decoded.confidence <= 1
    assert decode(data) == decoded


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02\x01\x01" + bytes(64),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10",
        b"a log that ends in zeros" + bytes(33),
        bytes(range(1, 32)) * 4,
        bytes((7 * i * i + 3 * i) % 255 + 1 for i in range(600)),
    ],
)
def test_binary_data_is_refused(data: bytes) -> None:
    with pytest.raises(NotText):
        decode(data)


def test_colours_of_a_log_are_text() -> None:
    assert decode(b"\x1b[31mERROR\x1b[0m disk full\f\n").codec == "utf-8"


def test_an_accent_in_english_is_no_chinese_character() -> None:
    # ów is one character in GB18030: "Krak體 are".
    text = "the registration numbers in Kraków are of the same type"
    assert decode(text.encode("cp1252")).text == text


def test_a_codec_that_fails_late_in_a_big_file_is_out() -> None:
    # Every sample reads as GB18030, but its last byte begins a character that never ends.
    data = CHINESE.encode("gb18030") * 400 + b"\x81"
    with contextlib.suppress(NotText):
        assert decode(data).codec != "gb18030"


def test_a_big_file_is_decoded_whole_from_samples() -> None:
    text = CHINESE * 2_000
    assert decode(text.encode("gb18030")).text == text


def test_a_declared_encoding_is_believed_where_it_fits_and_only_there() -> None:
    # Three letters say little; the page said what they are.
    assert decode("źle".encode("iso8859-2"), "iso-8859-2").text == "źle"
    assert decode(CHINESE.encode("gb18030"), "gb2312").codec == "gb18030"
    assert decode(CHINESE.encode("gb18030"), "us-ascii-nonsense").text == CHINESE
    assert decode(CHINESE.encode(), "gb2312").codec == "utf-8"


@pytest.mark.parametrize(("text", "written"), [("สวัสดีครับ นี่คือเอกสารภาษาไทย " * 4, "tis-620"), (RUSSIAN, "koi8-r")])
def test_what_no_table_explains_gets_a_second_opinion_and_is_not_called_certain(text: str, written: str) -> None:
    decoded = decode(text.encode(written))
    assert decoded.text == text
    assert decoded.confidence < 0.5


def test_line_ends_stay_as_they_are() -> None:
    assert decode(b"a\r\nb\rc\n").text == "a\r\nb\rc\n"
