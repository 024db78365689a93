"""How much of a prompt the engine has read before: it does not tell, so its rule is kept along here.

OpenVINO GenAI keeps what was read in blocks of tokens and takes a block again where it and all before it are the same.
"""

from collections import OrderedDict
from collections.abc import Sequence


class ReadBefore:
    """What was read and written, up to what the engine keeps; what was used least lately is forgotten first."""

    def __init__(self, block_tokens: int, capacity: int) -> None:
        """Begin with nothing.

        Args:
            block_tokens: Size of a block; 0 where the engine keeps nothing.
            capacity: Tokens that it keeps.
        """
        self._block, self._blocks = block_tokens, capacity // block_tokens if block_tokens else 0
        self._known: OrderedDict[int, None] = OrderedDict()

    def count(self, tokens: Sequence[int]) -> int:
        """Return how many of the first tokens are known; the last one of a prompt is always read."""
        known = 0
        for end, name in self._names(tokens[:-1]):
            if name not in self._known:
                break
            self._known.move_to_end(name)
            known = end
        return known

    def keep(self, tokens: Sequence[int]) -> None:
        """Remember a prompt and what was written behind it."""
        for _, name in self._names(tokens):
            self._known[name] = None
            self._known.move_to_end(name)
        while len(self._known) > self._blocks:
            self._known.popitem(last=False)

    def _names(self, tokens: Sequence[int]) -> list[tuple[int, int]]:
        """Return the end of each whole block, and a name of all tokens up to there."""
        names, name = [], 0
        for end in range(self._block, len(tokens) + 1, self._block) if self._block else ():
            name = hash((name, *tokens[end - self._block : end]))
            names.append((end, name))
        return names
