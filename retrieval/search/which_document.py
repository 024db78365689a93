"""A question for a document itself, "which of my files is about fire drills?", and what it is to be about.

The words around that stand in no passage, or in the wrong ones. It knows English, German, French, Spanish and Chinese.
"""

import re

_FLAGS = re.IGNORECASE | re.VERBOSE
_ENGLISH_NOUN = r"""(?:files?|documents?|docs?|pdfs?|notes?|papers?|reports?|pages?|articles?|manuals?|e?-?mails?
    |letters?|slides?|presentations?|spreadsheets?|books?|chapters?|texts?|pictures?|images?|photos?|scans?)"""
_ENGLISH_VERB = r"""(?:(?:is|are|was|were)\s+(?:all\s+|mainly\s+|mostly\s+)?about|talk(?:s|ed|ing)?\s+about
    |(?:is|are)\s+(?:called|named|titled)|deal(?:s|ing)?\s+with|cover(?:s|ing)?|mention(?:s|ed|ing)?
    |discuss(?:es|ed|ing)?|describ(?:es?|ed|ing)|explain(?:s|ed|ing)?|refer(?:s|red|ring)?\s+to
    |tells?\s+(?:(?:me|us|you)\s+)?(?:something\s+|anything\s+|more\s+)?about
    |say(?:s|ing)?\s+(?:something|anything)\s+about|speaks?\s+(?:of|about)
    |(?:contain(?:s|ing)?|ha(?:s|ve|ving)|with)\s+(?:(?:some|any|the)?\s*
      (?:information|info|details|something|anything)\s+)?(?:about|on)|regarding|concerning)"""
_PATTERNS = tuple(
    re.compile(pattern, _FLAGS)
    for pattern in (
        rf"""^\s*(?:in\s+)?(?:which|what)\s+(?:ones?\s+)?(?:of\s+)?(?:(?:my|the|these|those|our|your|all)\s+)*
             {_ENGLISH_NOUN}\s+(?:(?:here|there|that|do\s+i\s+have\s+that|of\s+mine)\s+)?{_ENGLISH_VERB}
             \s+(?!to\s|\d)(?P<about>.+)""",
        rf"""^\s*(?:(?:please|can\s+you|could\s+you)\s+)*
             (?:find|show|give|get|open|list|locate|search\s+for|look\s+for|where\s+(?:is|are)|i\s+need
             |i(?:'m|\s+am)\s+looking\s+for|do\s+i\s+have|is\s+there|are\s+there)\s+(?:me\s+|us\s+)?
             (?:(?:all|any|the|a|an|my|our|some|every)\s+)*{_ENGLISH_NOUN}\s+(?:(?:that|which)\s+)?
             (?:{_ENGLISH_VERB}|about|on|called|named)\s+(?P<about>.+)""",
        r"""^\s*(?:(?:please|can\s+you|could\s+you)\s+)*(?:show|tell)\s+(?:me\s+)?where\s+(?P<about>.+?)\s+(?:is|are)\s+
             (?:mentioned|described|explained|discussed|covered|treated)\W*$""",
        r"""^\s*where\s+(?:is|are)\s+(?P<about>.+?)\s+(?:mentioned|described|explained|discussed|covered|treated)
             (?:\s+in\s+(?:my|the|these|our|your)\s+\w+)?\W*$""",
        r"""^\s*(?:in\s+)?welche[rsnm]?\s+(?:(?:meiner|der|dieser|von\s+meinen)\s+)?
             (?:datei(?:en)?|dokument(?:en?)?|unterlagen?|pdfs?|notiz(?:en)?|bericht(?:en?)?|seiten?|brief(?:en?)?|e?-?mails?
             |text(?:en?)?)\s+
             (?:(?:handel[nt]|spricht|sprechen|ist|sind|steht|stehen)\s+(?:etwas\s+|was\s+)?(?:von|vom|über|zum?|zur)
             |geht\s+es\s+(?:um|über)|erwähn(?:t|en)|beschreib(?:t|en)|behandel[nt]|nenn(?:t|en)|erklär(?:t|en))
             \s+(?P<about>.+)""",
        r"""^\s*(?:dans\s+)?quel(?:s|les?)?\s+(?:fichiers?|documents?|pages?|rapports?|notes?|courriels?|mails?|textes?)\s+
             (?:(?:parle(?:nt)?|traite(?:nt)?|est|sont)\s+(?:de\s+la|de\s+l['’]|du|des|de|d['’]|sur|à\s+propos\s+d[eu'’])
             |(?:est|sont)\s+(?:mentionnée?s?|décrite?s?|expliquée?s?)|mentionne(?:nt)?|décri(?:t|vent)|concerne(?:nt)?|expliqu(?:e|ent))\s*(?P<about>.+)""",
        r"""^\W*(?:en\s+)?(?:qué|que|cuál(?:es)?)\s+(?:de\s+mis\s+)?
             (?:archivos?|documentos?|páginas?|informes?|notas?|correos?|textos?)\s+
             (?:(?:habla[n]?|trata[n]?|es|son)\s+(?:del?|sobre|acerca\s+del?)|menciona[n]?|describe[n]?|explica[n]?)\s+
             (?P<about>.+)""",
        r"""^\s*(?:请问)?(?:在)?哪(?:一?[个些份篇本页封张种])?(?:文件|文档|资料|材料|笔记|报告|邮件|书|页|PDF)?(?:里面?|中|当中)?
             (?:有)?(?:提到|讲到?|说到|说明|介绍|写到?|记载|涉及|包含|谈到|描述|是?关于|是?有关)[了过着]?(?:有?关于?)?
             (?P<about>.+?)(?:的(?:内容|信息)?)?[??。\s]*$""",
        r"""^\s*(?P<about>.+?)(?:是?在|出现在|写在)哪(?:一?[个些份篇本页封张])(?:文件|文档|资料|材料|笔记|报告|邮件|书|页|PDF)
             (?:里面?|中|当中)?(?:提到|讲到?|说到|说明|介绍|写到?|记载|描述)?[了过的]*[??。\s]*$""",
    )
)


_LONGEST = 200
_AND_THEN = re.compile(r"\s+and\s+(?:then\s+)?(?:tell|show|give|say|list|explain|summari[sz]e)\b.*", re.IGNORECASE)
_AROUND = "".join((" \t\n", "?.!", "?。", '"“”'))


def wanted_of_document(question: str) -> str | None:
    """Return what the document is to be about that a question asks for; None where it asks for no document."""
    question = " ".join(question.split())
    if len(question) > _LONGEST:
        return None  # whoever says more than this asks for more
    for pattern in _PATTERNS:
        if match := pattern.match(question):
            about = _AND_THEN.sub("", match["about"]).strip(_AROUND)
            return about if sum(map(str.isalnum, about)) > 1 else None
    return None
