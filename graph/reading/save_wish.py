"""Whether a question's own words wish the conversation to be saved, where they leave no doubt. It asks no model.

The planner decides; this only overrules it. A whole sentence must be a request to save the conversation, or a denial, a
question or a wish to save something else. All that lies between is unsure, and the model is asked a second time.
"""

import re
from typing import Literal

Wish = Literal["wanted", "unwanted", "unsure"]

_TALK = r"(conversation|chat|session|discussion|talk|dialogue?|exchange|thread)"
_KIND = r"(summary|record|transcript|report|copy|notes?)"
_ITS = r"(a|the|this|our|my|whole|entire|full|current|short|brief)"
_SAVE = r"(archive|save|store|keep|record|export)"
_PLEASE = (
    r"(please|kindly|now|ok(ay)?|can you|could you|would you|will you|i want you to|i would like you to|go ahead and)"
)
_TAIL = (
    r"(please|now|for later|for me|to (a |the )?(disk|file|folder)|as (a )?(markdown|report|file)( file)?"
    r"|thanks|thank you)"
)
_OBJECT = rf"({_ITS} )*({_KIND} (of|from) )?({_ITS} )*{_TALK}( {_KIND})?"
_WANTED = (
    re.compile(rf"({_PLEASE} )*{_SAVE} {_OBJECT}( {_TAIL})*"),
    re.compile(rf"({_PLEASE} )*(write|make|create|summari[sz]e) {_OBJECT} and {_SAVE} it( {_TAIL})*"),
)
_DENIED = re.compile(
    rf"\b(do not|don t|dont|never|no need to|not to|not|without|stop)\b.*\b({_SAVE}|archiving|saving)\b"
)
_ASKED = re.compile(
    r"^(what|who|whom|whose|which|why|where|when|how|is|are|was|were|does|did|do you|has|have|should|define|explain)\b"
)
_OTHER = re.compile(
    rf"\b{_SAVE} .*\b(pictures?|images?|photos?|screenshots?|files?|documents?|pdfs?|pages?|videos?|boxes)\b"
)

_TALK_ZH = r"(对话|会话|聊天记录|聊天|谈话|交谈|讨论)"
_ITS_ZH = r"(这次|本次|这个|这段|此次|我们的|我们|当前|整个|刚才的|今天的|全部|的)"
_SAVE_ZH = r"(归档|存档|保存|存下来|记录下来|备份)"
_PLEASE_ZH = r"(请你|请|麻烦你|麻烦|帮我|帮忙|你|现在|能不能|可以|能否|能)"
_KIND_ZH = r"(内容|记录|的总结|的摘要|的内容|的记录|总结|摘要)"
_TAIL_ZH = r"(一下|起来|下来|吧|好吗|吗|可以吗|谢谢|到文件|成文件|成报告)"
_WANTED_CHINESE = (
    re.compile(rf"{_PLEASE_ZH}*(把|将){_ITS_ZH}*{_TALK_ZH}{_KIND_ZH}*(都|给我|也)?{_SAVE_ZH}{_TAIL_ZH}*"),
    re.compile(rf"{_PLEASE_ZH}*(总结并)?{_SAVE_ZH}(一下)?{_ITS_ZH}*{_TALK_ZH}{_KIND_ZH}*{_TAIL_ZH}*"),
    re.compile(rf"{_PLEASE_ZH}*总结(一下)?{_ITS_ZH}*{_TALK_ZH}(并{_SAVE_ZH})?{_TAIL_ZH}*"),
)
_DENIED_CHINESE = re.compile(rf"(不要|别|不用|无需|不需要|不必|勿|不想).{{0,12}}{_SAVE_ZH}")
_ASKED_CHINESE = re.compile(
    r"(什么|怎么|怎样|如何|为什么|是不是|是否|哪|有没有).*(归档|存档|保存|档案)|(归档|存档|保存|档案).*(是什么|什么意思|怎么|是不是|了吗)"
)
_OTHER_CHINESE = re.compile(
    rf"{_SAVE_ZH}.{{0,6}}(图|照片|文件|文档|视频)|(把|将).{{0,6}}(图|照片|文件|文档|视频).{{0,6}}{_SAVE_ZH}"
)
_SPOKEN_OF = re.compile(
    r"archiv|\bsav(e|es|ed|ing)\b|\bkeep|\bkept\b|\bstor(e|es|ed|ing)\b|record|export|\bwrit|\bnotes?\b|minutes|report|summar"
    r"|speicher|sicher|guard|sauvegard|enregistr|salv|сохран|保存|存|归档|记|总结|备份|导出"
)


def speaks_of_saving(question: str) -> bool:
    """Say whether a question has any word that a wish to save something has, in some languages: none, no such wish."""
    return _SPOKEN_OF.search(question.lower()) is not None


def save_wish(question: str) -> Wish:
    """Return whether the conversation is to be saved, as far as the words alone tell."""
    text = " ".join(re.sub(r"[^\w]+", " ", question.lower()).split())
    joined = text.replace(" ", "")
    if _DENIED.search(text) or _DENIED_CHINESE.search(joined):
        return "unwanted"
    if any(wanted.fullmatch(text) for wanted in _WANTED) or any(wanted.fullmatch(joined) for wanted in _WANTED_CHINESE):
        return "wanted"
    other = _OTHER.search(text) or _OTHER_CHINESE.search(joined)
    return "unwanted" if _ASKED.search(text) or _ASKED_CHINESE.search(joined) or other else "unsure"
