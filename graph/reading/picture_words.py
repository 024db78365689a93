"""Whether a question speaks of a picture, by its words: for the bundled checkpoint, which knows drawn shapes alone.

It plans rightly what it was taught; whether a strange word means a document is not for it to say.
"""

import re

from retrieval.function_words import function_words

_ENGLISH = re.compile(
    r"\b(?:picture|image|photo|drawing|drawn|scene|object|thing|shape|figure|colou?r|circle|square|triangle|star|cross"
    r"|ring|rectangle|pentagon|heart|arrow|red|green|blue|yellow|purple|orange|black|white|left|right|above|below|top"
    r"|bottom|leftmost|rightmost|topmost|bottommost|under|over|word|letter|text|written|see|seen|show|shown|look|count"
    r"|large|small|big|larger|smaller|bigger|largest|smallest|biggest|describe|caption|compare|both|same)"
    r"(?:e?s)?\b",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    "[图画圆星心环]|照片|形状|三角|正方|长方|矩形|方块|五边|箭头|十字|颜色|[红绿蓝黄紫橙黑白]色|物体|东西|左|右|上面|下面|上方"
    "|下方|写着|字母|单词|看到|看见|描述|比较|几个|多少个"
)
_HAN = re.compile(r"[\u3400-\u9fff]")
_WORD = re.compile(r"[^\W_][\w'’-]*")


def speaks_of_picture(question: str) -> bool:
    """Return whether a question names anything that is drawn or seen, or nothing at all, as "How many are there?"."""
    if _HAN.search(question):
        return _CHINESE.search(question) is not None
    known = function_words("en") | {"many", "much"}
    named = [word for word in _WORD.findall(question) if word.casefold() not in known]
    return not named or _ENGLISH.search(question) is not None
