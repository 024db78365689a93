"""The course of a run as a tree on stderr: each node with its seconds and tokens, what it thought and decided."""

from common.safe_text import printable
from graph.answer import Answer, Event


class Trace:
    """Collects the events of a run."""

    def __init__(self) -> None:
        self._ends: list[Event] = []
        self._thoughts: list[str] = []  # of the ends, and of the node that runs
        self._thought = ""

    def note(self, event: Event) -> None:
        """Take up one piece of news."""
        if event.kind == "thinking":
            self._thought += event.text
        elif event.kind == "end":
            self._ends.append(event)
            self._thoughts.append(self._thought)
            self._thought = ""

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
        adapter = f", adapter {answer.model.adapter}" if answer.model.adapter else ""
        model = f"model {answer.model.name}, quantization {answer.model.quantization}{adapter}"
        tree.add(escape(printable(model)))
        tree.add(escape(f"session {answer.session_id}"))
        for event, thought in zip(self._ends, self._thoughts, strict=True):
            branch = tree.add(
                f"{event.node}  {event.seconds:.2f} s, {event.read_tokens} read, {event.cached_tokens} from the cache, "
                f"{event.new_tokens} written"
            )
            if thought.strip():
                branch.add(escape(f"thought: {' '.join(printable(thought).split())}"))
            for line in event.details:
                branch.add(escape(printable(line)))
        Console(stderr=True, soft_wrap=True).print(tree)
