"""The agent's own protocol as training turns: plan, answer, review, rewrite, grade, better query.

The texts are those of `graph/prompts.py` and the answers serialise the models of `graph/answer.py`, so
what the bundled checkpoint learns is what the graph says.
"""

import json
from random import Random

from finetune.data.drawn.passages import NOT_SAID, Fact, made_up_name, numbered, sample_facts
from finetune.data.drawn.questions import Question, ask, casual, compare
from finetune.data.drawn.scenes import draw_scene, sample_scene
from finetune.data.drawn.turns import Conversation, Turn
from graph.answer import Choice, Grade, Plan, Query, Review, Task
from graph.prompts import ENGLISH

TASK_OF: dict[str, Task] = {"caption": "caption", "locate": "locate", "word": "read_text", "compare": "compare"}
SAVES = (
    "Archive this conversation.", "Save a summary of this session.", "Please save this conversation.",
    "Write a summary of our talk and save it.", "Save this chat for later.", "Archive our session, please.",
)  # fmt: skip
ABOUT_DOCUMENTS = (
    "What do my documents say about {name}?", "What do the documents say about {name}?",
    "Search my files for {name}.", "Look up {name} in the knowledge base.",
)  # fmt: skip
CELL = 32  # pixels, the side of a visual token
TURN_CHARS = 330  # of the conversation's text: keeps the sequences of a batch at about one length
ASKED_ONCE = ("caption", "word", "unknown")
ASKED_AS_TASK = 0.4  # share of the questions in the words that the responder uses after such a plan
CHOSEN = 0.04  # share of the answers that are chosen among drafts
REVIEWED = 0.1  # share of the answers that are drafted, right or wrong, and then reviewed; less at the beginning


def plan_turn(question: str, kind: str, step: str) -> Turn:
    """Plan a question about the picture: no documents."""
    plan = Plan(task=TASK_OF.get(kind, "answer"), steps=[step], needs_knowledge=False, queries=[])
    return Turn("plan", ENGLISH.plan.format(question=question), plan.model_dump_json())


def plan_reading_turn(rng: Random, fact: Fact) -> Turn:
    """Plan a question that only documents answer, or a wish to save the conversation."""
    if rng.random() < 0.2:
        plan = Plan(task="archive", steps=["save the conversation"], needs_knowledge=False, queries=[])
        return Turn("plan", ENGLISH.plan.format(question=casual(rng, rng.choice(SAVES))), plan.model_dump_json())
    question, query = fact.question(rng), f"the {fact.topic} of {fact.name}"
    if rng.random() < 0.3:
        question, query = rng.choice(ABOUT_DOCUMENTS).format(name=fact.name), f"about {fact.name}"
    steps = ["search the documents", "answer with citations"]
    plan = Plan(task="answer", steps=steps, needs_knowledge=True, queries=[query])
    return Turn("plan", ENGLISH.plan.format(question=casual(rng, question)), plan.model_dump_json())


def answer_turns(rng: Random, question: Question, ease: float = 0.0) -> list[Turn]:
    """Answer; or, seldom at an `ease` near 1, draft, review and, where the draft was wrong, rewrite."""
    task = TASK_OF.get(question.kind)
    form = ENGLISH.tasks[task] if task and rng.random() < ASKED_AS_TASK else ENGLISH.answer
    turn = Turn(question.kind, form.format(question=question.text), question.answer)
    if rng.random() < CHOSEN * (1 - ease):
        return chosen(rng, turn, question.wrong)
    return reviewed(rng, turn, question.wrong) if rng.random() < REVIEWED * (1 - ease) else [turn]


def chosen(rng: Random, turn: Turn, wrong: str) -> list[Turn]:
    """Return a first draft, right or wrong, and the choice between it and another one."""
    drafts = [turn.answer, wrong]
    rng.shuffle(drafts)
    choice = Choice(feedback=feedback_of(turn), best=drafts.index(turn.answer) + 1)
    text = ENGLISH.choose.format(drafts="\n".join(f"[{n}] {draft}" for n, draft in enumerate(drafts, 1)))
    first = turn if drafts[0] == turn.answer else Turn("draft", turn.text, wrong, learn=False)
    return [first, Turn("choose", text, choice.model_dump_json())]


def reviewed(rng: Random, turn: Turn, wrong: str) -> list[Turn]:
    """Return the turn with a right or a wrong draft, the review of it and the rewrite that follows a RETRY."""
    right = rng.random() < 0.5
    review = Review(feedback=feedback_of(turn), verdict="PASS" if right else "RETRY")
    turns = [
        turn if right else Turn("draft", turn.text, wrong, learn=False),
        Turn("review", ENGLISH.review, review.model_dump_json()),
    ]
    if not right:
        turns.append(Turn("rewrite", ENGLISH.rewrite.format(feedback=review.feedback), turn.answer))
    return turns


def feedback_of(turn: Turn) -> str:
    """Restate the right answer for the reviewer; a box without the JSON that would be escaped in JSON."""
    if turn.kind == "locate":
        found = json.loads(turn.answer)[0]
        return f"{found['label']} at {' '.join(map(str, found['bbox_2d']))}"
    return turn.answer[:200]


def scene_conversation(
    rng: Random, width: int, height: int, ease: float = 0.0, *, seeing: bool = False, chars: int = TURN_CHARS
) -> Conversation:
    """Draw a picture and talk about it until the turns are long enough.

    Args:
        rng: Decides everything.
        width: Of what the model will see, in pixels; the picture is drawn at 1 to 3 times this.
        height: Likewise.
        ease: 1 for few plain shapes and many captions, 0 for the whole world.
        seeing: Only questions that a glance answers, and nothing of the agent's protocol.
        chars: About how long the talk is.
    """
    scale = rng.choice((1.0, 1.0, rng.uniform(1, 3)))
    few = rng.randint(1, 3) if rng.random() < ease else None
    word = not seeing and rng.random() < 0.16 * (1 - ease)
    # A thing inside one visual token is learned first: anywhere from the start, the tower stays blind for long.
    cell = CELL * scale if not word and rng.random() < ease else None
    scene = sample_scene(rng, round(width * scale), round(height * scale), things=few, word=word, cell=cell)
    turns: list[Turn] = []
    asked: set[str] = set()
    while sum(len(t.text) + len(t.answer) for t in turns) < chars:
        question = ask(rng, scene, ease, seeing=seeing)
        about = question.kind if question.kind in ASKED_ONCE else question.text.lower()
        if about in asked and rng.random() < 0.9:  # an answer that stands in the conversation teaches to copy it
            continue
        asked.add(about)
        if seeing:
            turns.append(Turn(question.kind, ENGLISH.answer.format(question=question.text), question.answer))
        elif rng.random() < 0.04 * (1 - ease):
            turns.append(plan_turn(question.text, question.kind, question.step))
        elif rng.random() < 0.02:  # a document may be asked for beside a picture too
            turns.append(plan_reading_turn(rng, sample_facts(rng, 1)[0]))
        else:
            turns += answer_turns(rng, question, ease)
    return Conversation((draw_scene(rng, scene, ease),), tuple(turns))


def compare_conversation(rng: Random, width: int, height: int) -> Conversation:
    """Draw two pictures and compare them."""
    scenes = [sample_scene(rng, width, height) for _ in range(2)]
    turns: list[Turn] = []
    while sum(len(t.text) + len(t.answer) for t in turns) < TURN_CHARS * 0.8:
        question = compare(rng, scenes[0], scenes[1])
        if rng.random() < 0.1:
            turns.append(plan_turn(question.text, question.kind, question.step))
        else:
            turns += answer_turns(rng, question)
    return Conversation(tuple(draw_scene(rng, s) for s in scenes), tuple(turns))


def reading_conversation(rng: Random, most: int) -> Conversation:
    """Show up to `most` numbered passages, then ask about them several times; or plan without any."""
    if rng.random() < 0.15:
        return Conversation((), tuple(plan_reading_turn(rng, sample_facts(rng, 1)[0]) for _ in range(4)))
    facts = sample_facts(rng, most)
    evidence = numbered(rng, facts)
    turns: list[Turn] = []
    for k in rng.sample(range(len(facts)), len(facts)):
        turns += _read(rng, facts, k, "" if turns else evidence)
        if sum(len(t.text) + len(t.answer) for t in turns) >= TURN_CHARS:
            break
    return Conversation((), tuple(turns))


def _read(rng: Random, facts: list[Fact], k: int, evidence: str) -> list[Turn]:
    """Ask about fact `k`, or about one that is not there; with the evidence where it has not been shown yet."""
    asked, answer, relevant = facts[k], f"It is {facts[k].value} [{k + 1}].", [k + 1]
    if rng.random() < 0.18:
        absent = Fact(asked.topic, made_up_name(rng), "")
        if absent.name not in [f.name for f in facts]:
            asked, answer, relevant = absent, NOT_SAID, []
    question = casual(rng, asked.question(rng))
    if evidence and rng.random() < 0.4:
        text = ENGLISH.grade.format(evidence=evidence, question=question)
        turns = [Turn("grade", text, Grade(relevant=relevant).model_dump_json())]
        if not relevant:
            query = Query(query=f"the {asked.topic} of {asked.name}")
            turns.append(Turn("query", ENGLISH.rewrite_query.format(question=question), query.model_dump_json()))
        return turns
    form = ENGLISH.answer_from_evidence if evidence else ENGLISH.answer
    turn = Turn("read", form.format(evidence=evidence, question=question), answer)
    if rng.random() < REVIEWED:
        other = rng.randrange(len(facts))
        wrong = f"It is {facts[other].value} [{other + 1}]."
        if wrong == answer:
            wrong = f"It is {made_up_name(rng)} [{k + 1}]."
        return reviewed(rng, turn, wrong)
    return [turn]
