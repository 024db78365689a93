"""The agent's own protocol as training turns: plan, answer, review, rewrite, grade, better query.

The texts are those of `graph/prompts.py` and the answers serialise the models of `graph/answer.py`, so
what the bundled checkpoint learns is what the graph says, in English and in Chinese.
"""

import json
from collections.abc import Callable
from random import Random

from finetune.data.drawn import chinese, english
from finetune.data.drawn.chinese import CHINESE
from finetune.data.drawn.english import ENGLISH
from finetune.data.drawn.passages import ABOUT, Fact, made_up_name, numbered, sample_facts
from finetune.data.drawn.questions import Question, ask, compare, locate, terse
from finetune.data.drawn.scenes import Scene
from finetune.data.drawn.turns import Turn
from finetune.data.drawn.wording import Wording
from graph import prompts
from graph.answer import Choice, Grade, Plan, Query, Review, Task
from graph.prompts import Prompts

TASK_OF: dict[str, Task] = {"caption": "caption", "locate": "locate", "word": "read_text", "compare": "compare"}
NOT_TO_BE_SAVED = {"en": english.NOT_SAVING, "zh": chinese.NOT_SAVING}
ASKED_AS_TASK = 0.3  # share of the questions in the words that the responder uses after such a plan
CHOSEN, REVIEWED, PLANNED, PLANNED_READING, ASKED_TWICE = 0.03, 0.18, 0.05, 0.03, 0.05  # shares of the branches
RIGHT_DRAFTS = 0.4  # of those that are reviewed: to find what is wrong in one takes more than to restate it
LONG_CHOSEN = 0.15  # share of the long talks; the others review
DESCRIBED = 0.65  # of them, that are not about a box
LONG_KINDS = ("caption", "word", "unknown")
"""Whose review and rewrite do not fit into a lane of the usual length."""


def prompts_of(words: Wording) -> Prompts:
    """Return what the nodes say in that language."""
    return prompts.ENGLISH if words.code == "en" else prompts.CHINESE


def either_language(rng: Random) -> Wording:
    """Draw a language, Chinese in 45 cases of a hundred."""
    return CHINESE if rng.random() < 0.45 else ENGLISH


def plan_turn(question: Question, words: Wording) -> Turn:
    """Plan a question about the picture: no documents."""
    plan = Plan(
        task=TASK_OF.get(question.kind, "answer"), steps=[question.step[:80]], needs_knowledge=False, queries=[]
    )
    return Turn("plan", prompts_of(words).plan.format(question=question.text), plan.model_dump_json())


def plan_reading_turn(rng: Random, fact: Fact, words: Wording, *, unseen: bool = False) -> Turn:
    """Plan a question that only documents answer, a wish to save the conversation, or words that are no such wish."""
    said, chance = words.steps, rng.random()
    plan = Plan(task="answer", steps=[said["search"], said["cite"]], needs_knowledge=True, queries=[fact.search(words)])
    question = fact.question(rng, words)
    if chance < 0.2:
        question = words.question(rng, "save", unseen=unseen)
        plan = Plan(task="archive", steps=[said["save"]], needs_knowledge=False, queries=[])
    elif chance < 0.3:
        question = rng.choice(NOT_TO_BE_SAVED[words.code])
        plan = Plan(task="answer", steps=[], needs_knowledge=False, queries=[])
    elif chance < 0.55:
        question = words.question(rng, "documents", unseen=unseen, name=fact.name)
        plan = plan.model_copy(update={"queries": [ABOUT[words.code].format(name=fact.name)]})
    text = prompts_of(words).plan.format(question=words.casual(rng, question))
    return Turn("plan", text, plan.model_dump_json())


def asked(rng: Random, question: Question, words: Wording) -> Turn:
    """Ask plainly, or as the responder does after a plan of the question's task."""
    said = prompts_of(words)
    task = TASK_OF.get(question.kind)
    form = said.tasks[task] if task and rng.random() < ASKED_AS_TASK else said.answer
    return Turn(question.kind, form.format(question=question.text), question.answer)


def chosen(rng: Random, turn: Turn, wrong: str, words: Wording) -> list[Turn]:
    """Return a first draft, right or wrong, and the choice between it and another one."""
    drafts = [turn.answer, wrong]
    rng.shuffle(drafts)
    choice = Choice(feedback=feedback_of(turn, words), best=drafts.index(turn.answer) + 1)
    text = prompts_of(words).choose.format(drafts="\n".join(f"[{n}] {draft}" for n, draft in enumerate(drafts, 1)))
    first = turn if drafts[0] == turn.answer else Turn("draft", turn.text, wrong, learn=False)
    return [first, Turn("choose", text, choice.model_dump_json())]


def reviewed(rng: Random, turn: Turn, wrong: str, words: Wording, *, rewrites: float = 1.0) -> list[Turn]:
    """Return the turn with a right or a wrong draft, the review of it and, in that share, the rewrite after a RETRY."""
    right = rng.random() < RIGHT_DRAFTS
    said = prompts_of(words)
    review = Review(feedback=feedback_of(turn, words), verdict="PASS" if right else "RETRY")
    turns = [
        turn if right else Turn("draft", turn.text, wrong, learn=False),
        Turn("review", said.review, review.model_dump_json()),
    ]
    if not right and rng.random() < rewrites:
        turns.append(Turn("rewrite", said.rewrite.format(feedback=review.feedback), turn.answer))
    return turns


def feedback_of(turn: Turn, words: Wording) -> str:
    """Restate the right answer for the reviewer; a box without the JSON that would be escaped in JSON."""
    if turn.kind == "locate":
        found = json.loads(turn.answer)[0]
        return words.say["located"].format(name=found["label"], box=" ".join(map(str, found["bbox_2d"])))
    return turn.answer[:200]


def picture_branch(rng: Random, scene: Scene | None, *, plain: bool = False) -> list[Turn]:
    """Return a short talk about a picture that nothing was said of yet: mostly one question and its answer.

    Args:
        rng: Decides everything.
        scene: None for a picture that is no scene.
        plain: Whether it is surely one question and its answer.
    """
    words = either_language(rng)
    if plain:
        return [asked(rng, ask(rng, scene, words), words)]
    return _branch(rng, words, lambda: ask(rng, scene, words))


def terse_branch(rng: Random, scene: Scene) -> list[Turn]:
    """Return a question of a few words with the answer at once behind it, as in " star" and "red"."""
    words = either_language(rng)
    kind, given, answer = terse(rng, scene, words)
    return [Turn(f"terse {kind}", given, answer, bare=True)]


def long_branch(rng: Random, scene: Scene) -> list[Turn]:
    """Return the longest talks: a box, a description or another long answer, its review and a rewrite, or a choice.

    Requires a scene that `can_be_located`.
    """
    words = either_language(rng)
    question = locate(rng, scene, words)
    if rng.random() < DESCRIBED:
        while (question := ask(rng, scene, words)).kind not in LONG_KINDS:
            pass
    judged = chosen if rng.random() < LONG_CHOSEN else reviewed
    return judged(rng, asked(rng, question, words), question.wrong, words)


def compare_branch(rng: Random, first: Scene, second: Scene) -> list[Turn]:
    """Return a short talk about two pictures."""
    words = either_language(rng)
    return _branch(rng, words, lambda: compare(rng, first, second, words))


def _branch(rng: Random, words: Wording, draw: Callable[[], Question]) -> list[Turn]:
    question, chance = draw(), rng.random()
    for share, make in (
        (CHOSEN, lambda: chosen(rng, asked(rng, question, words), question.wrong, words)),
        (REVIEWED, lambda: reviewed(rng, asked(rng, question, words), question.wrong, words, rewrites=0.5)),
        (PLANNED, lambda: [plan_turn(question, words)]),
        (PLANNED_READING, lambda: [plan_reading_turn(rng, sample_facts(rng, 1)[0], words)]),
        (ASKED_TWICE, lambda: [asked(rng, question, words), asked(rng, draw(), words)]),
    ):
        if chance < share:
            return make()
        chance -= share
    return [asked(rng, question, words)]


def plan_branches(rng: Random, count: int) -> list[list[Turn]]:
    """Return plans without a picture: of documents, of archives."""
    return [[plan_reading_turn(rng, sample_facts(rng, 1)[0], either_language(rng))] for _ in range(count)]


def reading_branches(
    rng: Random, most: int, count: int, words: Wording | None = None, *, terse: float = 0.0
) -> list[list[Turn]]:
    """Show up to `most` numbered passages, and ask about them in `count` talks that all begin with the passages.

    The share `terse` of the talks is a name alone with the value at once behind it: to find the passage that a name
    stands in is learned from them first, as the things of a picture are from terse questions.
    """
    words = words or either_language(rng)
    facts = sample_facts(rng, most)
    evidence = numbered(rng, facts, words)
    return [
        _read_tersely(rng, facts, evidence, words) if rng.random() < terse else _read(rng, facts, evidence, words)
        for _ in range(count)
    ]


def _read_tersely(rng: Random, facts: list[Fact], evidence: str, words: Wording) -> list[Turn]:
    k = rng.randrange(len(facts))
    shown = prompts_of(words).answer_from_evidence.split("{evidence}", maxsplit=1)[0] + evidence
    return [Turn("terse read", f"{shown}\n {facts[k].name}", f" {facts[k].value} [{k + 1}]", bare=True)]


def _read(rng: Random, facts: list[Fact], evidence: str, words: Wording) -> list[Turn]:
    """Ask about one of the facts, or about one that is not there; seldom about a second one without the passages."""
    said = prompts_of(words)
    turn, wrong, grade, query, question = _about_fact(rng, facts, words)
    if rng.random() < 0.3:
        turns = [Turn("grade", said.grade.format(evidence=evidence, question=question), grade)]
        if query:
            turns.append(Turn("query", said.rewrite_query.format(question=question), query))
        return turns
    turn = Turn("read", said.answer_from_evidence.format(evidence=evidence, question=question), turn.answer)
    if rng.random() < REVIEWED:
        return reviewed(rng, turn, wrong, words, rewrites=0.5)
    if rng.random() < 0.15:
        return [turn, _about_fact(rng, facts, words)[0]]
    return [turn]


def _about_fact(rng: Random, facts: list[Fact], words: Wording) -> tuple[Turn, str, str, str, str]:
    """Return a plain turn, a wrong answer, the grade, the better query if nothing helps, and the question."""
    k = rng.randrange(len(facts))
    about, answer, relevant = facts[k], words.say["read"].format(value=facts[k].value, number=k + 1), [k + 1]
    if rng.random() < 0.18:
        absent = Fact(about.topic, made_up_name(rng), "")
        if absent.name not in [f.name for f in facts]:
            about, answer, relevant = absent, words.say["not said"], []
    other = rng.randrange(len(facts))
    wrong = words.say["read"].format(value=facts[other].value, number=other + 1)
    if wrong == answer:
        wrong = words.say["read"].format(value=made_up_name(rng), number=k + 1)
    question = words.casual(rng, about.question(rng, words))
    query = "" if relevant else Query(query=about.search(words)).model_dump_json()
    turn = Turn("read", prompts_of(words).answer.format(question=question), answer)
    return turn, wrong, Grade(relevant=relevant).model_dump_json(), query, question
