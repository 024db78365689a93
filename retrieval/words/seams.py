"""Where a Chinese word of building ends or begins: the two characters beside such a seam are no word together.

年假能结转吗 holds no 假能 and no 能结: 能 stands by itself. Of the ways to cut a text into listed words the
likeliest is taken, by the words' own frequencies, as jieba does. Seams of other words stay in: measured, a passage that
holds those is the likelier answer.
"""

import math
from functools import lru_cache

from retrieval.words.lists import listed

LONGEST = 4
"""Characters of a word that is looked for; longer ones consist of such."""
BUILDING = frozenset("能会要可该吗呢吧啊呀")
"""What somebody can, will or should, and what makes a question of a sentence, where they are words by themselves: more
of them, 的 and 在, let questions about other subjects find something (benchmarks/relevance.py)."""
LEAST, UNLISTED = 1e-7, 1e-9
"""Share of all words from which one counts as listed, and what a character is taken for that is no word."""


@lru_cache(maxsize=1 << 12)
def seams(run: str) -> frozenset[int]:
    """Return the places in a run of simplified Chinese characters before and behind a word of `BUILDING`.

    None beside a character that would be left alone at an end of the run: 刘能 is a name.
    """
    words = listed("zh", "large")
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(run) + 1):
        ways = (
            (best[start][0] + math.log(words.get(run[start:end], UNLISTED)), start)
            for start in range(max(0, end - LONGEST), end)
            if end - start == 1 or words.get(run[start:end], 0.0) >= LEAST
        )
        best.append(max(ways))
    ends, end = list[int](), len(run)
    while end > 0:
        ends.append(end)
        end = best[end][1]
    bounds = [0, *reversed(ends)]
    return frozenset(
        at
        for before, at, after in zip(bounds, bounds[1:], bounds[2:], strict=False)
        if (at - before == 1 and run[at - 1] in BUILDING and (after - at > 1 or after < len(run)))
        or (after - at == 1 and run[at] in BUILDING and (at - before > 1 or before > 0))
    )
