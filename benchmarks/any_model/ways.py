"""The ways in which servers and models answer, from public reports of vLLM, SGLang, llama.cpp, Ollama and others.

Each way turns what a capable model means (`MEANT`) into what comes over the wire.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from benchmarks.any_model.server import Asked, Model, Refuse, Reply, Step, Stream, said

Kind = Literal["picture", "where", "document", "chinese", "french"]
THOUGHT = "Hmm, the user wants two... no wait."
"""No answer, event or later request may hold these words."""
PLAN = {"task": "answer", "steps": [], "needs_knowledge": False, "queries": []}
MEANT: Mapping[Kind, Mapping[Step, Any]] = {
    "picture": {
        "plan": PLAN, "answer": "There are three red cups.", "review": {"feedback": "three cups", "verdict": "PASS"},
    },
    "where": {
        "plan": PLAN | {"task": "locate"},
        "answer": '[{"bbox_2d": [100, 200, 500, 800], "label": "cup"}]',
        "review": {"feedback": "one cup", "verdict": "PASS"},
    },
    "document": {
        "plan": PLAN | {"needs_knowledge": True, "queries": ["warranty K3"]},
        "grade": {"relevant": [1]}, "query": {"query": "guarantee"}, "answer": "It lasts 36 months [1].",
        "review": {"feedback": "36 months", "verdict": "PASS"},
    },
    "chinese": {"plan": PLAN, "answer": "有三个红色的杯子。", "review": {"feedback": "三个", "verdict": "PASS"}},
    "french": {"plan": PLAN, "answer": "Il y a trois tasses.", "review": {"feedback": "trois", "verdict": "PASS"}},
}  # fmt: skip
Write = Callable[[Asked, str], Reply]


@dataclass(frozen=True)
class Way:
    """One way to answer, and what must come of it."""

    name: str
    seen: str
    """Where it was reported."""
    write: Write
    """Turns what is meant into a reply."""
    kind: Kind = "picture"
    model: str = "seer"
    effort: Literal["quick", "normal", "thorough"] = "normal"
    note: str = ""
    """What `degraded` must say; nothing where the answer is whole."""
    reviewed: bool = True
    """Whether a verdict must have come."""
    answer: str = ""
    """What must be answered, where it is not what the model means."""
    budget_s: float = 20.0

    def model_of(self) -> Model:
        """Return the scripted model."""

        def answer(asked: Asked) -> Reply:
            meant = MEANT[self.kind].get(asked.step, "?")
            return self.write(asked, meant if isinstance(meant, str) else json.dumps(meant, ensure_ascii=False))

        return answer


def plain(asked: Asked, text: str) -> Stream:
    """As the protocol has it."""
    return Stream(said(text))


def _text(change: Callable[[str], str], *, steps: tuple[Step, ...] = ("plan", "grade", "query", "review")) -> Write:
    """Change the text of some steps."""
    return lambda asked, text: plain(asked, change(text) if asked.step in steps else text)


def _instead(**texts: str) -> Write:
    """Say something else in some steps."""
    return lambda asked, text: plain(asked, texts.get(asked.step, text))


def _first(reply: Callable[[Asked, str], Reply], *, step: Step = "plan", times: int = 1) -> Write:
    """Reply otherwise the first times of a step."""
    return lambda asked, text: reply(asked, text) if asked.step == step and asked.nth <= times else plain(asked, text)


def _all(**changes: Any) -> Write:
    """Change how every reply is sent."""
    return lambda asked, text: replace(plain(asked, text), **changes)


def _lines(text: str) -> str:
    return "\n".join(f"{key}: {value}" for key, value in json.loads(text).items())


def _python(text: str) -> str:
    return repr(json.loads(text))


def _chinese_keys(text: str) -> str:
    names = {
        "task": "任务", "steps": "步骤", "needs_knowledge": "需要文档", "queries": "查询", "verdict": "结论",
        "feedback": "反馈",
    }  # fmt: skip
    return json.dumps({names.get(key, key): value for key, value in json.loads(text).items()}, ensure_ascii=False)


def _as_texts(text: str) -> str:
    return json.dumps({k: [str(i) for i in v] if isinstance(v, list) else str(v) for k, v in json.loads(text).items()})


def _thinks_aloud(asked: Asked, text: str) -> Stream:
    return plain(asked, text if asked.is_told_not_to_think else f"{THOUGHT}\n</think>\n\n{text}")


def _reasons(key: str, *, obeys: bool = True) -> Write:
    def write(asked: Asked, text: str) -> Stream:
        thinks = not (obeys and asked.is_told_not_to_think)
        return Stream([*([{key: THOUGHT[:9]}, {key: THOUGHT[9:]}] if thinks else []), *said(text)])

    return write


def _reasons_as_parts(asked: Asked, text: str) -> Stream:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}
    return Stream(
        [{"content": [thought]}, *({"content": [{"type": "text", "text": d["content"]}]} for d in said(text))]
    )


def _needs_room(asked: Asked, text: str) -> Stream:
    """Think for more tokens than an answer is given."""
    thought = [{"reasoning_content": THOUGHT}]
    if asked.is_told_not_to_think or asked.max_tokens > 1000:
        return Stream([*thought, *said(text)])
    return Stream(thought, finish="length")


def _never_ends_thinking(asked: Asked, text: str) -> Stream:
    if asked.step == "answer" and not asked.is_told_not_to_think:
        return Stream([{"reasoning_content": THOUGHT}], finish="length")
    return plain(asked, text)


def _without(key: str, status: int, words: str) -> Write:
    """Refuse a request with this key."""
    return lambda asked, text: Refuse(status, words) if asked.body.get(key) is not None else plain(asked, text)


def _refuses_the_switch(asked: Asked, text: str) -> Reply:
    if asked.body.get("chat_template_kwargs"):
        return Refuse(400, "Unrecognized request argument supplied: chat_template_kwargs")
    return _reasons("reasoning_content")(asked, text)


def _in_reasoning_alone(asked: Asked, text: str) -> Stream:
    return plain(asked, text) if asked.step == "answer" else Stream([{"reasoning_content": text}])


def _calls_a_tool(arguments: Callable[[str], Any]) -> Write:
    def write(asked: Asked, text: str) -> Stream:
        if asked.step == "answer":
            return plain(asked, text)
        call = {"index": 0, "id": "c", "type": "function", "function": {"name": "Plan", "arguments": arguments(text)}}
        return Stream([{"role": "assistant", "content": None, "tool_calls": [call]}], finish="tool_calls")

    return write


def _retries(asked: Asked, text: str) -> Stream:
    if asked.step == "review":
        return plain(asked, "RETRY: there are three, not two" if asked.nth == 1 else "PASS")
    return plain(asked, "There are two cups." if asked.step == "answer" and asked.nth == 1 else text)


def _busy(status: int) -> Callable[[Asked, str], Reply]:
    return lambda asked, text: Refuse(status, "busy", {"retry-after-ms": "10"})


def _broken(asked: Asked, text: str) -> Reply:
    return Refuse(500, "internal error")


def _silent(asked: Asked, text: str) -> Reply:
    return None


EMPTY = 'data: {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}\n\n'
IN_STREAM = 'data: {"error": {"message": "CUDA error", "code": 500}}\n\n'
FENCES = {"json": "```json\n{}\n```", "bare": "```\n{}\n```", "open": "```json\n{}"}
WAYS: tuple[Way, ...] = (
    Way("as the protocol says", "OpenAI", plain),
    Way("documents, as the protocol says", "OpenAI", plain, "document"),
    Way("boxes, as the protocol says", "vLLM", plain, "where"),
    Way("JSON between fences", "Ollama", _text(lambda t: f"```json\n{t}\n```")),
    Way("fences without a language", "llama.cpp", _text(lambda t: f"```\n{t}\n```")),
    Way("a fence that never closes", "LM Studio", _text(lambda t: f"```json\n{t}")),
    Way("words before the JSON", "Ollama", _text(lambda t: f"Sure! Here is the JSON you asked for:\n\n{t}")),
    Way("words behind the JSON", "llama.cpp", _text(lambda t: f"{t}\n\nLet me know if you need {{more}}.")),
    Way("indented JSON", "OpenAI", _text(lambda t: json.dumps(json.loads(t), indent=4))),
    Way("keys in capitals", "Ollama", _text(lambda t: json.dumps({k.title(): v for k, v in json.loads(t).items()}))),
    Way("numbers and truth as texts", "Ollama", _text(_as_texts), "document"),
    Way("keys that nobody asked for", "vLLM", _text(lambda t: json.dumps(json.loads(t) | {"confidence": 0.97}))),
    Way("a fourth step", "vLLM", _instead(plan=json.dumps(PLAN | {"steps": ["look", "count", "check", "answer"]}))),
    Way("commas at the end", "llama.cpp", _text(lambda t: t[:-1] + ",}")),
    Way("single quotes", "Ollama", _text(_python)),
    Way("keys without quotes", "Ollama", _instead(plan="{task: \"answer\", needs_knowledge: false, queries: []}")),
    Way("typographic quotes", "Ollama", _instead(plan="{“task”: “answer”, “needs_knowledge”: false}")),
    Way("unicode escapes", "vLLM", _text(lambda t: t.replace("a", "\\u0061"), steps=("review",))),
    Way("a plan that is cut off", "vLLM", _first(lambda a, t: Stream(said(t[:-22]), finish="length"))),
    Way("an object in an object", "Ollama", _text(lambda t: f'{{"response": {t}}}')),
    Way("an object in a list", "llama.cpp", _text(lambda t: f"[{t}]")),
    Way("lines instead of JSON", "Ollama", _text(_lines)),
    Way("a list where a text is due", "SGLang",
        _instead(review='{"feedback": ["three", "red cups"], "verdict": ["PASS"]}')),
    Way("a bare PASS", "Ollama", _instead(review="PASS")),
    Way("a verdict in bold in a sentence", "Ollama", _instead(review="There are three cups.\n\n**Verdict: PASS**")),
    Way("a bare RETRY with its reason", "Ollama", _retries),
    Way("Chinese keys", "Qwen by Ollama", _text(_chinese_keys), "chinese"),
    Way("a Chinese question", "vLLM", plain, "chinese"),
    Way("a French question", "vLLM", plain, "french"),
    Way("a grade as a bare list", "Ollama", _instead(grade="[1]"), "document"),
    Way("a grade that says nothing", "Ollama", _instead(grade="I think they are all lovely."), "document",
        note="not graded"),
    Way("an answer instead of a plan, twice", "Ollama", _instead(plan="There are cups."), note="plan: skipped"),
    Way("an answer instead of a plan, once", "Ollama", _first(lambda a, t: plain(a, "There are three."))),
    Way("nothing instead of a plan, once", "llama.cpp", _first(lambda a, t: plain(a, ""))),
    Way("a review without a verdict", "Ollama", _instead(review="Looks good!"), note="review: skipped", reviewed=False),
    Way("an answer in Markdown", "OpenAI", _instead(answer="**There are three red cups.**"),
        answer="**There are three red cups.**"),
    Way("numbers in brackets that are no boxes", "vLLM", _instead(answer="Rows [1, 2, 3, 4] hold three cups."),
        answer="Rows [1, 2, 3, 4] hold three cups."),
    Way("boxes between fences", "Ollama", _text(lambda t: f"```json\n{t}\n```", steps=("answer",)), "where"),
    Way("a <think> block", "Ollama, llama.cpp", lambda a, t: plain(a, f"<think>\n{THOUGHT}\n</think>\n\n{t}")),
    Way("a <think> block in single letters", "llama.cpp",
        lambda a, t: Stream(said(f"<think>{THOUGHT}</think>{t}", 1))),
    Way("thinking without its opening tag", "vLLM without a parser", _thinks_aloud, model="Qwen3-VL-8B-Thinking"),
    Way("the same behind an alias", "vLLM without a parser", _thinks_aloud),
    Way("the same at quick effort", "vLLM without a parser", _thinks_aloud, model="qwen3-vl-thinking", effort="quick",
        reviewed=False),
    Way("the same at quick effort, unexpected", "vLLM without a parser", _thinks_aloud, effort="quick", reviewed=False),
    Way("reasoning_content", "vLLM, SGLang, DeepSeek", _reasons("reasoning_content")),
    Way("reasoning_content although switched off", "SGLang", _reasons("reasoning_content", obeys=False)),
    Way("reasoning", "Ollama, OpenRouter", _reasons("reasoning")),
    Way("thinking as a part of the content", "Mistral", _reasons_as_parts),
    Way("thinking longer than an answer may be", "vLLM", _needs_room, model="Qwen3-VL-8B-Thinking"),
    Way("the same behind an alias, unexpected", "vLLM", _needs_room),
    Way("thinking that never ends unless switched off", "vLLM", _never_ends_thinking, model="qwq"),
    Way("the switch for thinking is refused", "OpenAI, Azure", _refuses_the_switch, model="o-reasoner"),
    Way("JSON in the field for thinking", "vLLM with a parser", _in_reasoning_alone),
    Way("response_format refused with 400", "LM Studio", _without("response_format", 400, "'response_format.type' "
        "must be 'text'")),
    Way("response_format refused with 422", "TGI", _without("response_format", 422, "unknown variant json_schema")),
    Way("response_format fails with 500", "llama.cpp", _without("response_format", 500, "failed to parse grammar")),
    Way("response_format refused, documents", "TGI", _without("response_format", 422, "json_schema"), "document"),
    Way("response_format ignored, words for a plan", "Ollama", _instead(plan="I would count the cups."),
        note="plan: skipped"),
    Way("stream_options refused", "older servers", _without("stream_options", 400, "extra field stream_options")),
    Way("no reason for the end", "older llama.cpp", _all(finish=None)),
    Way("no reason for the end and no usage", "proxies", _all(finish=None, usage=None), note="did not say"),
    Way("a reason of its own", "TGI", _all(finish="eos_token")),
    Way("no usage", "Ollama", _all(usage=None)),
    Way("half of the usage", "proxies", _all(usage={"total_tokens": 7, "prompt_tokens_details": None})),
    Way("a piece without choices first", "Azure", _all(before=EMPTY)),
    Way("the role alone first", "OpenAI", lambda a, t: Stream([{"role": "assistant"}, *said(t)])),
    Way("null content first", "vLLM", lambda a, t: Stream([{"role": "assistant", "content": None}, *said(t)])),
    Way("content as parts", "Mistral",
        lambda a, t: Stream([{"content": [{"type": "text", "text": d["content"]}]} for d in said(t)])),
    Way("all in one piece", "proxies", lambda a, t: Stream(said(t, 10_000))),
    Way("a call of a tool instead of a text", "vLLM", _calls_a_tool(lambda t: t)),
    Way("a call whose arguments are an object", "Ollama", _calls_a_tool(json.loads)),
    Way("comments in the stream", "OpenRouter", _all(comments=True)),
    Way("CRLF line ends", "IIS proxies", _all(line_end="\r\n")),
    Way("no [DONE]", "proxies", _all(done=False)),
    Way("429 with Retry-After, then an answer", "vLLM", _first(_busy(429))),
    Way("503 while the model loads, then an answer", "llama.cpp", _first(_busy(503))),
    Way("500 in the plan", "vLLM", _first(_broken, times=9), note="plan: skipped"),
    Way("500 in the grade", "vLLM", _first(_broken, step="grade", times=9), "document", note="not graded"),
    Way("500 in the review", "vLLM", _first(_broken, step="review", times=9), note="review: skipped", reviewed=False),
    Way("an error inside the stream of the review", "vLLM",
        _first(lambda a, t: Stream([], before=IN_STREAM), step="review", times=9), note="review: skipped",
        reviewed=False),
    Way("a review that breaks off", "proxies", _first(lambda a, t: Stream(said(t[:9]), cut=True), step="review"),
        note="review: skipped", reviewed=False),
    Way("a plan that never comes", "overloaded servers", _first(_silent), note="plan: skipped", budget_s=3.0),
    Way("a review that never comes", "overloaded servers", _first(_silent, step="review"), note="review: skipped",
        reviewed=False, budget_s=3.0),
    Way("several drafts, and words for a choice", "Ollama", _text(lambda t: t), effort="thorough"),
)  # fmt: skip
