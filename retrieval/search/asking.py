"""What a question asks once the words that only ask are taken off: "is there anything in my files that says ...".

Whoever talks to a search as to a person says more than what is to be found, and would get nothing for it: those words
stand in no passage. What is left of the question is searched for; the whole question is never judged less for it.
It knows English, German, French, Spanish and Chinese ways of asking; other questions stay as they are.
"""

import re
from collections import Counter
from collections.abc import Iterator

from retrieval.function_words import function_words
from retrieval.search.which_document import wanted_of_document

# Who speaks so speaks to the search.
_ASKING = {
    "en": """
        anything anyone anybody anywhere know mention mentioned mentions please say says something somewhere somebody
        someone tell wonder wondered wondering curious according hello hi hey thanks thank
        kindly nobody""",
    "de": """
        beantworte bitte etwas erwähnt irgendwas irgendwo laut nachlesen sag sage sagen sagt steht weiß weißt wissen
        danke hallo gesagt erzähl erzähle""",
    "fr": """
        bonjour merci réponds répondez dis dites dit indique indiqué mentionne mentionné mentionnent savoir sais sait
        savez quelque chose stp svp plaît selon""",
    "es": """
        hola gracias responda responde dime dígame dice dicen menciona mencionan saber sabes sabe algo favor según
        acerca""",
}
# And so of what it searches, unless that is what is asked about: it takes one of the words above to tell.
_SEARCHED = {
    "en": """
        answer attached attachment attachments documents docs files following knowledge provided question questions
        regarding shared state stated states upload uploaded uploads concerning""",
    "de": """
        antwort antworten datei dateien dokument dokumente dokumenten frage fragen hochgeladen hochgeladenen unterlagen
        wissensdatenbank bezüglich hinsichtlich folgende folgenden""",
    "fr": "documents fichier fichiers réponse question questions trouve téléversés joints fournis concernant suivante",
    "es": "documento documentos archivo archivos respuesta pregunta preguntas subidos adjuntos siguiente respecto",
}
# They may stand among those, and are as often what is asked about.
_BESIDE = {
    "en": """
        able based base be below doc document file folder above check checked contain contains could detail detailed
        details find found full gave give given go going got guess happen happens help idea information info like look
        looked looking love my need needed possible possibly provide quick quickly read reading really right search see
        sent show thing things think through try trying want wanted way whether while list explain describe let us me
        just basis ever every all there told said knew known somehow simply sure exactly been paragraph passage section
        part page
        i'd i'm i've you've don't can't what's there's is's""",
    "de": "gegeben gefunden gib geben finde finden suche schau zeig möglich gerne gern hilfe helfen information "
    "informationen mal darüber davon dazu drin mir uns eigentlich vielleicht basierend grundlage diesen meinen meinem "
    "deinen dir mich dich",
    "fr": "donné donnés donner cherche chercher peux pouvez pourriez aide aider information informations propos base "
    "basant voir dedans peut-être existe est-ce qu'est-ce j'ai t'ai m'a",
    "es": "dado busca buscar puedes puede podría ayuda información base basado basándote ver hay existe quisiera "
    "quiero gustaría he",
}
_WHOLE = {
    "en": """
        summarise summarize summarized summarised summary summaries overview outline gist key main points point contents
        content abstract tldr tl dr recap digest brief briefly short translate translation english german french spanish
        chinese bullet bullets sentence sentences paragraph paragraphs words word whole entire complete important most
        about one two three five ten pages page report review purpose topic open print display compare""",
    "de": """
        fasse fass zusammen zusammenfassung zusammenfassen überblick inhalt inhalte übersetze übersetzen kurz knapp
        worum geht wichtigste wichtigsten punkte sätzen stichpunkten ganze ganzen englisch deutsch""",
    "fr": """
        résume résumer résumez résumé synthèse aperçu contenu traduis traduisez traduire parle principaux points phrases
        brièvement entier français anglais""",
    "es": """
        resume resumir resuma resumen contenido traduce traducir trata puntos principales frases brevemente entero
        español inglés""",
}
_CHINESE_WHOLE = re.compile(
    "总结|概括|概述|归纳|摘要|综述|简介|介绍|简要|简单|大意|梗概|提炼|翻译|主要|内容|要点|重点|全文|整个|这份|这个|这篇|一下|下面|里面|看看|讲|读|打开"
    "|文件|文档|资料|讲了|讲的|说了|写了|包含|哪些|什么|英文|中文|成|用|一句话|几句话|请|帮我|帮|给我|我|的|是|有|了|里|中|吧|吗|呢|关于"
    "|把|对|和|与"
)
_SUMMARY = re.compile(
    r"\b(?:summar|overview|outline|gist|recap|digest|tl;?dr|translate|key points|main points|zusammen|überblick"
    r"|übersetz|résum|aperçu|synthèse|tradui|traduc|resum)|总结|概括|概述|归纳|摘要|综述|翻译|要点|大意|梗概|提炼",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。!?])(?=.)|\n")
_FEWEST = 3
"""Words that asking takes: of fewer nobody can tell whether they are what is asked about."""
_CHINESE = re.compile(
    r"(?:(?:请|麻烦你?|帮我|能不能|能否|可以|我想)*(?:根据|依据|按照|基于|参考|结合|在|从)?"
    r"(?:我|你|您|用户)?(?:之前|刚才|已经)?(?:给你的?|发给你的?|上传的?|提供的?|这些|那些|以上|上面的?|上述|下面的?|所有的?|我的)+"
    r"(?:文档|文件|资料|材料|附件|知识库|内容)(?:里面?|中|内|当中)?"
    r"|(?:根据|依据|按照|基于|参考|结合|在|从)(?:文档|文件|资料|材料|附件|知识库)(?:里面?|中|内|当中)?"
    r"|(?:文档|文件|资料|材料|附件|知识库)(?:里面?|中|当中)(?=.*(?:有没有|是否|提到|写|说))"
    r"|请?回答(?:以下|下面的?|这个|我的|一下)*问题|(?:有没有|是否)(?:提到|写明?|说明?|讲到?|介绍)过?|提到了?|"
    r"(?:请|麻烦你?)?(?:帮我|帮忙|替我)?(?:查|找|看|搜)(?:一下|一查|一找|一看)|(?:请|麻烦你?)?告诉我"
    r"|我?想(?:要)?(?:知道|了解|问)(?:一下)?|请问(?:一下)?|谢谢你?|你好|您好|麻烦了?)[\s,,。!!::??]*"
)
_CHINESE_DOCUMENTS = re.compile("文档|文件|资料|材料|知识库")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_RUN = re.compile(r"[\u3400-\u9fff]+")
_MOST_OF_NAME = 4
"""Words that are taken for the name of a document."""
_CLAUSE = re.compile(r"[^,;:!?¿¡\n。,;:?!]+?(?=[.](?:\s|$)|[,;:!?¿¡\n。,;:?!]|$)")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_REPORTED = re.compile(
    r"\b(?:ask(?:s|ed|ing)?|wonder(?:s|ed|ing)?|know|knew|tell|told|remember|forgot|forgotten|(?:un)?sure|find out"
    r"|figure out|understand|unclear|frag(?:t|e|te|en)|gefragt|weiß|wissen|wusste|sicher)\b[^,;:.!?]{0,60}?,?\s"
    r"(?P<asked>(?:how|what|when|where|who|whom|whose|which|why|whether|if|wie|was|wann|wo|wer|wem|welche[rsnm]?|warum"
    r"|wieso|ob)\s[^;:.!?\n]+)",
    re.IGNORECASE,
)
_CLAIMED = re.compile(
    r"\b(?:told|heard|read|says?|said|think|believe|claims?|claimed)\b[^,;:.!?]{0,60}?\sthat\s(?P<asked>[^;:.!?\n]+)",
    re.IGNORECASE,
)
_REPORTED_CHINESE = re.compile(
    r"(?:问(?!题)(?:我们?|他们?|她们?|你们?)?|想知道|不知道|不清楚|不确定|忘了|记不得)(?P<asked>[^,。;,;!?!?\n]{4,})"
)
_AFTERWARDS = re.compile(
    r",?\s(?:and|but|so|und|aber|doch)\s(?:i|we|he|she|they|you|nobody|ich|wir|er|sie|du|niemand)\b.*", re.IGNORECASE
)
_SPEAKING = "i me my we us you your ich mir mich wir uns du dir sie ihr je moi nous tu vous yo tú"
_SPEAKERS = frozenset(_SPEAKING.split())
_ABOUT = frozenset({"about", "on", "regarding", "concerning", "über", "zu", "sur", "sobre", "acerca"})


def plainly(question: str) -> str:
    """Return the question without the words that only ask; as it is where nothing else would be left."""
    if wanted := wanted_of_document(question):
        return wanted
    if len(_SENTENCE.split(question.strip())) == 1:
        question = _reported(question) or question
    if _HAN.search(question):
        left = _CHINESE.sub(" ", question).strip()
        return left if len(_HAN.findall(left)) > 1 or re.search(r"[^\W\d_]{2}", _HAN.sub("", left)) else question
    return _without(question, most=0)


def readings(question: str) -> list[str]:
    """Return what a passage may be held against: the question, what it plainly asks, and its sentences that ask.

    To be covered by a passage, one of them need be: who tells a story first asks for no passage that tells it, too.
    """
    plain, reported = plainly(question), _reported(question)
    found = [question, plain] if _HAN.search(question) else [question, plain, _without(question, most=1)]
    if reported is not None:
        found.append(reported)
    sentences = [one.strip() for one in _SENTENCE.split(question) if one.strip()]
    asking = [plainly(one) for one in sentences if one.endswith(("?", "?"))]
    if len(sentences) > 1:
        found += [sentence for sentence in asking if len(_content(sentence)) >= _FEWEST]
    return list(dict.fromkeys(found))


def _reported(question: str) -> str | None:
    """Return what somebody asked, said or does not know, where the question only tells of it."""
    if _HAN.search(question):
        match = _REPORTED_CHINESE.search(question)
        return match["asked"] if match else None
    match = _REPORTED.search(question) or _CLAIMED.search(question)
    if match is None or not _SPEAKERS & {word.casefold() for word in _WORD.findall(question[: match.start("asked")])}:
        return None
    asked = _AFTERWARDS.sub("", match["asked"]).strip(" ,")
    return asked if len(_content(asked)) > 1 else None


def asks_for_all(rest: str) -> bool:
    """Say whether a question, without the names of documents in it, asks for the whole of them, as for a summary.

    A bare name does, too, and "What is in it?".
    """
    left = _CHINESE_WHOLE.sub("", _CHINESE.sub("", rest))
    words = [left[start:end].casefold() for start, end, kind in _words(left) if kind == "other"]
    return all(word in _ALL_WHOLE for word in words) and not _HAN.search(left)


def asks_for_summary(rest: str) -> bool:
    """Say whether a question says in so many words that it wants the whole of something: a summary, a translation."""
    return _SUMMARY.search(rest) is not None and asks_for_all(rest)


def wanted_of_summary(question: str) -> list[str]:
    """Return the words for what a question wants a summary of, in few words: "summarise the lease of 2024".

    None where it asks for no summary, or for more than the name of a document can say.
    """
    if not _SUMMARY.search(question):
        return []
    left = _CHINESE_WHOLE.sub(" ", _CHINESE.sub(" ", question))
    others = (left[start:end] for start, end, kind in _words(left) if kind == "other")
    words = [word for word in others if word.casefold() not in _ALL_WHOLE and not _HAN.search(word)]
    found = [*words, *re.findall(r"\w*\d\w*", left), *(run for run in _HAN_RUN.findall(left) if len(run) > 1)]
    return found if len(found) <= _MOST_OF_NAME else []


def asks_for_everything(question: str) -> bool:
    """Say whether a question wants a summary of the documents, and names none: "summarise my files"."""
    speaks_of_them = any(kind == "searched" for _, _, kind in _words(question)) or _CHINESE_DOCUMENTS.search(question)
    return bool(speaks_of_them) and asks_for_summary(question)


def _without(question: str, most: int) -> str:
    """Drop clauses that only ask, with at most so many other words where they speak of the user or the search."""
    clauses = [(match.group(), _words(match.group())) for match in _CLAUSE.finditer(question)]
    if not any(kind in ("asking", "searched") for _, words in clauses for _, _, kind in words):
        return question
    kept = [
        part
        for clause, words in clauses
        if not _only_asks(clause, words, most) and (part := _trimmed(clause, words).strip(" .")) and _WORD.search(part)
    ]
    left = ", ".join(kept)
    return left if _content(left) and len(left) < len(question.strip(" .?!")) else question


def _only_asks(clause: str, words: list[tuple[int, int, str]], most: int) -> bool:
    kinds = Counter(kind for _, _, kind in words)
    if not kinds["other"]:
        return kinds["asking"] + kinds["searched"] + kinds["beside"] > 0
    speaks = any(clause[start:end].casefold() in _SPEAKERS for start, end, _ in words)
    return kinds["other"] <= most and speaks and kinds["asking"] > 0 and len(words) >= _FEWEST


def _trimmed(clause: str, words: list[tuple[int, int, str]]) -> str:
    """Cut off the asking words in front and behind."""
    first = next((i for i, (_, _, kind) in enumerate(words) if kind == "other"), len(words))
    last = next((i for i, (_, _, kind) in enumerate(reversed(words)) if kind == "other"), len(words))
    if first == len(words):
        return clause
    begin, end = 0, len(clause)
    asking = [i for i in range(first) if words[i][2] == "asking"]
    if asking and first >= _FEWEST:
        cut = max(i for i in range(first) if words[i][2] != "function" and i >= asking[0])
        begin = words[cut][1]
    behind = range(len(words) - last, len(words))
    asking = [i for i in behind if words[i][2] == "asking"]
    if asking and last >= _FEWEST:
        end = words[min(i for i in behind if words[i][2] != "function")][0]
    # A number is a word too, wherever it stands.
    numbers = [match.span() for match in re.finditer(r"\w*\d[\w.:/-]*", clause)]
    begin = min([begin, *(start for start, _ in numbers)])
    end = max([end, *(stop for _, stop in numbers)])
    return clause[begin:end]


def _words(clause: str) -> list[tuple[int, int, str]]:
    """Return where each word begins and ends, and whether it is asking, searched, beside, function or other."""
    found: list[tuple[int, int, str]] = []
    for match in _WORD.finditer(clause):
        word = match.group().casefold().replace("’", "'")
        kind = next((name for name, words in _KINDS.items() if word in words), "other")
        if found and word in _ABOUT and found[-1][2] == "beside":
            found[-1] = (*found[-1][:2], "asking")  # "information about", "the paragraph on"
        found.append((*match.span(), "function" if kind == "other" and word in _ALL_FUNCTION else kind))
    return found


def _content(text: str) -> list[str]:
    words = [text[start:end] for start, end, kind in _words(text) if kind in ("beside", "other")]
    return [*words, *re.findall(r"\w*\d\w*", text), *_HAN.findall(text)]


def _all(words: dict[str, str]) -> frozenset[str]:
    return frozenset(word for line in words.values() for word in line.split())


_KINDS = {"asking": _all(_ASKING), "searched": _all(_SEARCHED), "beside": _all(_BESIDE)}
_ALL_WHOLE = _all(_WHOLE)


def _functional() -> Iterator[str]:
    for language in _ASKING:
        yield from function_words(language)


_ALL_FUNCTION = frozenset(_functional())
