"""A reranker made of a Qwen3-VL: how likely it says yes when asked whether a passage meets a query.

The words are those that Qwen3-Reranker and Qwen3-VL-Reranker were trained with (their model cards), so that they serve
as well as the chat model does. It searches nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from model.errors import ModelError
from retrieval.search.rerank import BudgetedReranker, Reranked, RerankerMissing

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

SYSTEM = (
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".'
)
PAIR = """<Instruct>: Given a search query, retrieve relevant passages that answer the query.
<Query>: {query}
<Document>: {passage}"""
PASSAGE_CHARS = 6000


def judge_of(chat: "BaseChatModel", name: str) -> "Judge":
    """Return the reranker.

    Raises:
        RerankerMissing: The model lives behind an address, which gives no probabilities.
    """
    from langchain_core.messages import HumanMessage, SystemMessage

    from model.served import served

    model = served(chat)
    if not model.gives_probabilities:
        raise RerankerMissing(name, "a model behind an address gives no probabilities; name a local one")

    def score(query: str, passages: Sequence[str]) -> list[float]:
        return [
            model.choice_probabilities(
                [SystemMessage(SYSTEM), HumanMessage(PAIR.format(query=query, passage=passage[:PASSAGE_CHARS]))],
                ("yes", "no"),
            )[0]
            for passage in passages
        ]

    return Judge(name, score)


class Judge(BudgetedReranker):
    """Leaves the order as it is where the model fails: what was found is worth more than its order."""

    def rerank(self, query: str, passages: Sequence[str], budget_s: float) -> Reranked:
        """Return the passages' order; as `retrieval.search.rerank.Reranker`."""
        try:
            return super().rerank(query, passages, budget_s)
        except ModelError as error:
            unread = tuple(range(len(passages)))
            return Reranked(unread, tuple(None for _ in unread), f"reranker: skipped, {error}")
