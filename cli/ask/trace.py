"""The course of a run as a tree on stderr: each node with its seconds and tokens, and what it decided."""

from common.safe_text import printable
from graph.answer import Answer, Event


class Trace:
    """Collects the events of a run."""

    def __init__(self) -> None:
        self._ends: list[Event] = []

    def note(self, event: Event) -> None:
        """Take up one piece of news."""
        if event.kind == "end":
            self._ends.append(event)

    def print(self, answer: Answer) -> None:
        """Draw the tree."""
        from rich.console import Console
        from rich.markup import escape
        from rich.tree import Tree

        usage = answer.usage
        tree = Tree(
            f"ask  {usage.seconds:.2f} s, {usage.prefill_tokens} tokens read, {usage.cached_tokens} from the cache, "
            f"{usage.new_tokens} written"
        )
        for event in self._ends:
            branch = tree.add(
                f"{event.node}  {event.seconds:.2f} s, {event.read_tokens} read, {event.cached_tokens} from the cache, "
                f"{event.new_tokens} written"
            )
            for line in event.details:
                branch.add(escape(printable(line)))
        Console(stderr=True, soft_wrap=True).print(tree)
