"""The planner: decides what kind of answer is wanted and whether documents are needed."""

from langchain_core.messages import HumanMessage, SystemMessage
from langgraph.runtime import Runtime

from graph.answer import Plan, SaveWish, TaskPlan
from graph.errors import Undecided
from graph.reading.picture_words import speaks_of_picture
from graph.reading.save_wish import save_wish, speaks_of_saving
from graph.run_context import RunContext
from graph.state import AgentState, noted


def planner(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Plan the answer; without a plan, go on and say so."""
    context, question = runtime.context, state["question"]
    notes: list[str] = []
    plan = None
    if not context.unable:
        try:
            plan = _planned(state, context)
        except Undecided as error:
            notes.append(f"plan: skipped, {error.reason}")
    if _archives(plan, question, context):
        saving = Plan(task="archive", steps=[], needs_knowledge=False, queries=[])
        return {"plan": plan if plan is not None and plan.task == "archive" else saving, "degraded": noted(state)}
    if plan is None:
        # Who answers by quoting would quote a document about a question that is about a picture.
        search = state["search"] and not (context.quotes and state["pictures"])
        return {"plan": None, "search": search, "degraded": noted(state, *notes)}
    if plan.task == "archive":
        plan = plan.model_copy(update={"task": "answer"})
    if context.fields:
        plan = plan.model_copy(update={"task": "extract"})
    elif context.is_taught and state["search"] and state["pictures"] and not speaks_of_picture(question):
        # The bundled checkpoint was taught few of the words that documents are asked about in.
        plan = plan.model_copy(update={"task": "answer", "needs_knowledge": True, "queries": [question]})
    if plan.needs_knowledge and not state["search"]:
        notes.append("knowledge base: the plan wants it, but it is empty or was not to be used")
    elif plan.needs_knowledge and not any(query.strip() for query in plan.queries):
        notes.append("plan: it names nothing to search for, the question itself was searched")
    return {"plan": plan, "degraded": noted(state, *notes)}


def _planned(state: AgentState, context: RunContext) -> Plan:
    """Ask for a plan, without steps where the prompts ask for none.

    Raises:
        Undecided: There is none.
    """
    documents = context.documents_in_words if state["search"] else context.prompts.no_documents
    messages = context.opening(context.prompts.plan.format(question=state["question"], documents=documents))
    form = Plan if context.prompts.plans_steps else TaskPlan
    return context.decide("planner", Plan, messages, form=form)[0]


def _archives(plan: Plan | None, question: str, context: RunContext) -> bool:
    """Return whether the conversation is to be saved, which writes a file.

    Only the user's own words may want that, never those in a picture, a document or an earlier answer: where they
    leave doubt, the model is asked again and sees nothing else.
    """
    wish = save_wish(question)
    if context.whole or wish != "unsure" or plan is None or plan.task != "archive":
        return wish == "wanted" and not context.whole  # a document is to be summarised, not the conversation
    if context.is_taught and not speaks_of_saving(question):
        return False  # in a language that it was not taught it takes anything for such a wish
    words = context.prompts
    try:
        if words.save_wish:
            asked = words.save_wish.format(question=question)
            wished, _ = context.decide("planner", SaveWish, [SystemMessage(words.system), HumanMessage(asked)])
            return wished.save_conversation
        asked = words.plan.format(question=question)
        again, _ = context.decide("planner", Plan, [SystemMessage(words.system), HumanMessage(asked)])
    except Undecided:
        return False
    return again.task == "archive"
