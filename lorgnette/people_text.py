"""What people read under an answer, in the language of the question: sources, verdict, what was not sure.

Costs and identifiers are no part of it (`ask --trace` shows them), and neither is what is so on this machine whatever
is asked: that is `standing`, which is said once. Models read `lorgnette.answer_text.render`, which leaves nothing out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from common.safe_text import escaped, one_line, printable, shortened
from graph.answer import Answer, Box, Citation, FieldValue
from graph.wording.language import is_chinese

QUOTE_CHARS = 160
FEEDBACK_CHARS = 120
SOURCE_CHARS = 80


@dataclass(frozen=True)
class Words:
    """The texts in one language."""

    page: str
    box: str
    field: str
    agrees: str
    unproven: str
    passed: str
    doubtful: str
    rewritten: str
    truncated: str
    note: str


ENGLISH = Words(
    page=", page {page}",
    box="Box: {label}, x {x1} to {x2}, y {y1} to {y2} (pixels{where})",
    field="{name}: {status}{where}",
    agrees="agrees with",
    unproven="unproven, {note}",
    passed="Checked: a second look confirms it{rewritten}.",
    doubtful="Checked: doubtful{rewritten}; the second look saw: {feedback}",
    rewritten=", after a new answer",
    truncated="Cut short: the limit of time or length was reached.",
    note="Note: {note}",
)
CHINESE = Words(
    page=",第 {page} 页",
    box="位置:{label},x {x1} 到 {x2},y {y1} 到 {y2}(像素{where})",
    field="{name}:{status}{where}",
    agrees="相符",
    unproven="未证实,{note}",
    passed="复核:再看一遍,结果一致{rewritten}。",
    doubtful="复核:存疑{rewritten};再看时看到的是:{feedback}",
    rewritten="(重写之后)",
    truncated="未完:达到了时间或长度的限制。",
    note="说明:{note}",
)
STANDING = tuple(
    map(
        re.compile,
        (
            r"model: the bundled checkpoint",
            r"model: it is larger than its device's memory",
            r"(knowledge base: )?reranker: .*(is not on this machine|cannot be opened)",
            r"(knowledge base: )?dense: .*(is not on this machine|cannot be opened|not installed)",
            r"session: nothing is remembered, because sessions are switched off",
        ),
    )
)
"""Notes about this machine and its settings, which hold for every answer."""
_IN_CHINESE = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (
            r"model: the bundled checkpoint knows drawn shapes only.*",
            r"随附的小模型只认识画出来的图形;照片和文档请运行 `lorgnette model pull Qwen/Qwen3-VL-2B-Instruct`,"
            r"再用 `--model Qwen/Qwen3-VL-2B-Instruct` 提问",
        ),
        (
            r"model: the bundled checkpoint was trained on one system text.*",
            r"随附的小模型只认识一种系统提示,设置中的没有使用",
        ),
        (r"model: it is larger than its device's memory.*: (.*)", r"模型大于设备的内存,回答较慢:{0}"),
        (r"plan: skipped, (.*)", r"没有计划,直接回答({0})"),
        (r"review: skipped, the bundled checkpoint was taught no forms", "没有复核(随附的小模型没有学过填表)"),
        (r"review: skipped, (.*)", r"没有复核({0})"),
        (r"review: nothing was chosen among the drafts.*, (.*)", r"没有在草稿中选择({0})"),
        (r"knowledge base: nothing relevant was found", r"文档里没有找到相关内容"),
        (r"knowledge base: only weak matches were found.*", r"只找到可能相关的段落,未必能回答问题"),
        (r"knowledge base: the passages were not graded, (.*)", r"没有判断段落是否相关,按搜索的顺序使用({0})"),
        (r"knowledge base: it was not searched in other words, (.*)", r"没有换一种说法再搜索({0})"),
        (r"knowledge base: the plan wants it, but it is empty.*", r"计划需要文档,但没有文档或不允许搜索"),
        (r"knowledge base: (.*) has changed since it was indexed", r"{0} 在索引之后有改动"),
        (
            r'spelling: a word of the question is in no document, so "(.*)" was searched for',
            r"问题里有文档中没有的词,改为搜索“{0}”",
        ),
        (r"source: no indexed file matches '(.*)';.*", r"索引里没有名为 {0} 的文件"),
        (r"citation: there is no passage \[(\d+)\]", r"没有编号为 [{0}] 的段落,该标记已去掉"),
        (r"answer: not in the form that was asked for, (.*)", r"没有按要求的形式回答({0})"),
        (r"citation: no passage was found that says (.*)", r"没有找到支持这句话的段落:{0}"),
        (r"review: not passed, the second look saw another .* \((.*)\)", r"复核未通过,再看时看到的不同:{0}"),
        (r"review: not passed, the model was not sure of this answer", r"复核未通过,模型对这个回答没有把握"),
        (r"review: not passed, there is nothing in the answer.*", r"复核未通过,回答里没有可以检查的内容"),
        (r"review: not passed, the answer cites a passage.*", r"复核未通过,回答引用了不存在的段落"),
        (r"answer: it began to repeat itself.*", r"回答开始无尽地重复,在那里截断了"),
        (r"answer: the server did not say that it had finished.*", r"服务器没有说明是否写完,结尾可能缺失"),
        (r"answer: the model wrote nothing.*", r"模型没有写出内容;请换一种问法,或换更大的模型"),
        (r"session: the first (\d+) questions no longer fit.*", r"最早的 {0} 个问题放不下,已略去"),
        (r"session: (.*) cannot be seen again.*", r"{0} 已经无法再看到"),
        (r"session: (.*) has changed since it was asked about.*", r"{0} 在提问之后有改动,不再查看"),
        (r"nothing was found for it", r"没有找到"),
        (r"there are no words to hold it against", r"没有可以对照的文字"),
        (r"it does not stand there as a whole", r"原文中没有完整的这个值"),
        (r"it stands there, not by the field's name", r"原文中有,但不在该字段名旁边"),
        (r"it stands there, not by the field's name, but by (.*)", r"原文中有,但不在该字段名旁边,而在 {0} 旁边"),
        (r"(.*) stands by the field's name as well", r"{0} 也在该字段名旁边"),
        (r"more stands there than the value", r"原文比这个值更长"),
        (r"too many values stand there.*", r"那里的值太多,分不清是哪一个"),
        (r"its day and month cannot be told apart", r"分不清日和月"),
        (
            r"fields: values from pictures are unproven, OCR cannot be used here \((.*)\)",
            r"无法用 OCR 核对图片中的值({0})",
        ),
        (r"fields: values from pictures are unproven, no time.*", r"没有时间用 OCR 核对图片中的值"),
        (r"the time budget was spent", r"时间已用完"),
        (r"the model took too long over it", r"模型用时过长"),
        (r"what the model wrote could not be read.*", r"模型写的内容无法读取"),
    )
)


def for_people(answer: Answer, question: str) -> list[str]:
    """Return the lines under an answer, without what is standing."""
    words = CHINESE if is_chinese(question) else ENGLISH
    lines = [_source(number, citation, words) for number, citation in enumerate(answer.citations, start=1)]
    lines += [_field(one, words) for one in answer.fields]
    several = len({box.image for box in answer.boxes}) > 1
    told = {one.name for one in answer.fields if one.regions}
    boxes = [box for box in answer.boxes if box.label not in told and not _is_said(box, answer.answer)]
    lines += [_box(box, words, several) for box in boxes]
    if answer.review is not None and answer.review.verdict is not None:  # why there is none is among the notes
        rewritten = words.rewritten if answer.review.rewrites else ""
        feedback = shortened(answer.review.feedback, FEEDBACK_CHARS) or "?"
        form = words.passed if answer.review.verdict == "PASS" else words.doubtful
        lines.append(form.format(rewritten=rewritten, feedback=feedback))
    if answer.truncated:
        lines.append(words.truncated)
    passing = [note for note in answer.degraded if not is_standing(note)]
    lines += [words.note.format(note=translated(note) if words is CHINESE else note) for note in passing]
    return [one_line(line) for line in lines]


def standing(answer: Answer) -> list[str]:
    """Return the notes that are about this machine and not about the answer."""
    return [one_line(note) for note in answer.degraded if is_standing(note)]


def in_language(notes: Sequence[str], question: str) -> list[str]:
    """Return standing notes in the language of the question."""
    return [translated(note) for note in notes] if is_chinese(question) else list(notes)


def is_standing(note: str) -> bool:
    """Return whether a note holds for every answer on this machine."""
    return any(pattern.match(note) for pattern in STANDING)


def translated(note: str) -> str:
    """Return a note in Chinese where it is one of ours; else as it is."""
    for pattern, chinese in _IN_CHINESE:
        if found := pattern.fullmatch(note):
            return chinese.format(*map(translated, found.groups()))
    return note


def _source(number: int, citation: Citation, words: Words) -> str:
    page = words.page.format(page=citation.page) if citation.page is not None else ""
    quote = shortened(" ".join(printable(citation.quote).split()), QUOTE_CHARS)
    return f"[{number}] {escaped(citation.source)}{page}: “{quote}”"


def _field(one: FieldValue, words: Words) -> str:
    """Say of a value, which the answer itself gives, whether it agrees with the words that stand there."""
    note = translated(one.note) if words is CHINESE else one.note
    status = words.agrees if one.status == "agrees" else words.unproven.format(note=printable(note))
    page = words.page.format(page=one.page) if one.page is not None else ""
    quote = shortened(printable(one.words), QUOTE_CHARS)
    where = f" {shortened(escaped(one.source), SOURCE_CHARS)}{page}: “{quote}”" if one.source else ""
    return words.field.format(name=printable(one.name), status=status, where=where)


def _box(box: Box, words: Words, several: bool) -> str:
    where = f", {box.picture or box.image + 1}" if several else ""
    return words.box.format(label=box.label or "?", x1=box.x1, x2=box.x2, y1=box.y1, y2=box.y2, where=where)


def _is_said(box: Box, text: str) -> bool:
    """Return whether the answer itself says where the box is, as it does where the model wrote nothing else."""
    return f"x {box.x1} to {box.x2}, y {box.y1} to {box.y2}" in text
