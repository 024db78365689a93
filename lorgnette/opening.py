"""Opens the agent that the settings name: model, documents, sessions. It knows no protocol."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from graph.served_agent import ServedAgent
from lorgnette.archive import open_archive
from lorgnette.documents import Documents
from lorgnette.settings import Settings
from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    from retrieval.knowledge_base import KnowledgeBase

LoadProgress = Callable[[str, float], None]
"""Hears the phase of the loading and its share, 0 to 1."""
OpenAgent = Callable[[Settings, LoadProgress], ServedAgent]


def open_served_agent(settings: Settings, progress: LoadProgress, documents: Documents | None = None) -> ServedAgent:
    """Open the model that the settings name; the imports alone take seconds, so they are made here.

    Args:
        settings: Which model, which documents, and how it answers.
        progress: Hears of the loading.
        documents: Those of the settings, if they are used elsewhere in this process too.

    Raises:
        ModelError: The model is missing, broken, or does not fit. Documents that cannot be opened cost nothing but
            themselves: every answer says so.
    """
    from graph.agent import Agent
    from lorgnette.model_sharing.adapter_switch import with_adapter_switch
    from lorgnette.model_sharing.attach import open_model

    progress("opening the documents", 0.0)
    try:
        knowledge, problem = (documents or Documents(settings)).open(), None
    except RetrievalError as error:  # pictures can be asked about all the same
        knowledge, problem = None, f"knowledge base: {error}"
    progress("starting the engine", 0.0)
    chat, identity = open_model(settings, progress)
    agent = Agent(chat, identity, settings, knowledge, open_archive(settings), [problem] if problem else [])
    if knowledge is not None and settings.reranker == "model":
        knowledge.use_reranker(agent.reranker)
    elif knowledge is not None:
        use_named_reranker(knowledge, settings)
    return with_adapter_switch(agent)


def use_named_reranker(knowledge: "KnowledgeBase", settings: Settings) -> None:
    """Load the language model that the setting `reranker` names, if it names one, to read what is found."""
    from retrieval.search.rerank import is_generative

    if not is_generative(settings.reranker):
        return
    from graph.model_reranker import judge_of
    from lorgnette.model_sharing.attach import open_model

    name = settings.model if settings.reranker == "model" else settings.reranker
    chat, _ = open_model(settings.model_copy(update={"model": name}))
    knowledge.use_reranker(judge_of(chat, settings.reranker))
