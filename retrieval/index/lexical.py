"""The lexical projection: BM25 over our own tokens, on tantivy.

Does not cut text into tokens and knows no passage, only numbers. What the files of a passage are called lies in a field
of its own, so that a folder's name makes no word common and no passage longer. It scores by Okapi BM25 as Robertson and
Zaragoza give it ("The Probabilistic Relevance Framework: BM25 and Beyond", 2009, equation 3.15) with k1 = 1.2,
b = 0.75 and idf = ln((N + 1) / (df + 0.5)); a term that stands twice in the query counts twice. tantivy keeps document
lengths above 40 in one byte, so its scores differ from the exact ones by up to 3 % there, and it counts removed
passages in N and df until it merges segments.
"""

import json
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from retrieval.index.projection import (
    ProjectionDamaged,
    ProjectionInUse,
    damage_translated,
    read_generation,
    write_generation,
)
from retrieval.tokens import TOKENS_FINGERPRINT

if TYPE_CHECKING:
    import tantivy

FINGERPRINT = f"{TOKENS_FINGERPRINT}, stored, names"
"""Of the tokens and of how they lie here; an index made under another one must be rebuilt."""

_WRITER_BYTES = 32_000_000
_PARTS = (".fast", ".fieldnorm", ".idx", ".pos", ".store", ".term")
_FIELDS = ("body", "names")
_NUMBERS_PER_PAGE = 10_000


class Held(NamedTuple):
    """The tokens of a passage."""

    body: list[str]
    """Of what it says under its headings, in order."""
    names: list[str]
    """Of what its files are called."""


class TantivyIndex:
    """A lexical index in a folder; one process at a time may write it."""

    def __init__(self, folder: Path) -> None:
        """Open the index in the folder, or begin an empty one.

        Raises:
            ProjectionDamaged: If what lies there is no index, a broken one, or one of other tokens.
        """
        import tantivy

        self._folder = folder
        self._writer: tantivy.IndexWriter | None = None
        folder.mkdir(parents=True, exist_ok=True)
        generation = read_generation(folder, FINGERPRINT)
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("number", indexed=True, fast=True)
        # Our tokens hold no spaces, so that a join by spaces is taken apart into the same tokens.
        for name in _FIELDS:
            builder.add_text_field(name, stored=True, tokenizer_name="whitespace", index_option="freq")
        self._schema = builder.build()
        with self._translated():
            exists = tantivy.Index.exists(str(folder))
            if exists != (generation is not None):
                raise ProjectionDamaged(folder, "index or generation is missing")
            _check_sums(folder)
            self._index = tantivy.Index(self._schema, path=str(folder))
            self._index.config_reader(reload_policy="manual")
            self._index.reload()
        if generation is None:
            write_generation(folder, FINGERPRINT, 0)
        self._generation = generation or 0

    @property
    def generation(self) -> int:
        """Up to which generation of the catalogue it has come."""
        return self._generation

    @property
    def count(self) -> int:
        """How many passages it holds."""
        return self._index.searcher().num_docs

    def add(
        self, numbers: Sequence[int], tokens: Sequence[Sequence[str]], names: Sequence[Sequence[str]] | None = None
    ) -> None:
        """Add passages; one whose number is there already is replaced.

        Args:
            numbers: Of the passages.
            tokens: Of what each says.
            names: Of what the files are called in which each stands.
        """
        import tantivy

        self.remove(numbers)
        with self._translated():
            passages = zip(tokens, names or [()] * len(tokens), strict=True)
            for number, fields in dict(zip(numbers, passages, strict=True)).items():
                document = tantivy.Document()
                document.add_unsigned("number", number)
                for field, words in zip(_FIELDS, fields, strict=True):
                    document.add_text(field, " ".join(words))
                self._open_writer().add_document(document)

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove passages; numbers that are not there are passed over."""
        from tantivy import Query

        with self._translated():
            # Not delete_documents_by_term: tantivy 0.27 takes the number for a signed one and silently deletes nothing.
            if numbers:
                doomed = Query.term_set_query(self._schema, "number", list(numbers))
                self._open_writer().delete_documents_by_query(doomed)

    def commit(self, generation: int) -> None:
        """Make what was added and removed durable and visible."""
        with self._translated():
            if self._writer:
                self._writer.commit()
                self._index.reload()
        write_generation(self._folder, FINGERPRINT, generation)
        self._generation = generation

    def search(self, tokens: Sequence[str], top_k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Return numbers and scores, best first, of passages among the allowed that hold at least one token.

        What a passage says and what its files are called are scored apart and added.
        """
        from tantivy import Occur, Query

        if not tokens or (allowed is not None and not allowed):
            return []
        with self._translated():
            terms = [
                Query.boost_query(Query.term_query(self._schema, field, token, "freq"), float(times))
                for token, times in Counter(tokens).items()
                for field in _FIELDS
            ]
            query = Query.boolean_query([(Occur.Should, term) for term in terms])
            if allowed is not None:
                wanted = Query.term_set_query(self._schema, "number", list(allowed))
                query = Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(wanted, 0.0))])
            searcher = self._index.searcher()
            hits = searcher.search(query, top_k, count=False).hits
            numbers = searcher.fast_field_values("number", [address for _, address in hits])
        found = [(int(number), float(hit[0])) for number, hit in zip(numbers, hits, strict=True) if number is not None]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def frequencies(self, tokens: Sequence[str]) -> dict[str, int]:
        """Return in how many passages each distinct token stands; names of files do not count."""
        return self._frequencies("body", tokens)

    def frequencies_in_names(self, tokens: Sequence[str]) -> dict[str, int]:
        """Return of how many passages each distinct token stands in a file's name."""
        return self._frequencies("names", tokens)

    def held(self, numbers: Sequence[int]) -> dict[int, Held]:
        """Return the tokens of passages and of their files' names, as they were added; unknown numbers are left out."""
        from tantivy import Query

        if not numbers:
            return {}
        with self._translated():
            searcher = self._index.searcher()
            wanted = Query.term_set_query(self._schema, "number", list(numbers))
            addresses = [at for _, at in searcher.search(wanted, len(numbers), count=False).hits]
            found = searcher.fast_field_values("number", addresses)
            stored = [searcher.doc(address) for address in addresses]
        return {
            int(number): Held(*([word for text in document[field] for word in text.split()] for field in _FIELDS))
            for number, document in zip(found, stored, strict=True)
            if number is not None
        }

    def within_edits(self, token: str, distance: int, limit: int = 20) -> list[int]:
        """Return numbers of passages that hold a token at most `distance` edits, 1 or 2, from this one."""
        from tantivy import Query

        with self._translated():
            searcher = self._index.searcher()
            query = Query.fuzzy_term_query(self._schema, "body", token, distance, True)
            addresses = [at for _, at in searcher.search(query, limit, count=False).hits]
            return [int(n) for n in searcher.fast_field_values("number", addresses) if n is not None]

    def _frequencies(self, field: str, tokens: Sequence[str]) -> dict[str, int]:
        with self._translated():
            searcher = self._index.searcher()
            return {token: searcher.doc_freq(field, token) for token in dict.fromkeys(tokens)}

    def numbers(self) -> Iterator[int]:
        """Yield the numbers it holds."""
        from tantivy import Query

        searcher = self._index.searcher()  # one state of the index, whatever is committed meanwhile
        for offset in range(0, searcher.num_docs, _NUMBERS_PER_PAGE):
            with self._translated():
                hits = searcher.search(Query.all_query(), _NUMBERS_PER_PAGE, count=False, offset=offset).hits
                page = searcher.fast_field_values("number", [address for _, address in hits])
            yield from (int(number) for number in page if number is not None)

    def close(self) -> None:
        """Let go of files and locks; what was not committed is lost."""
        if self._writer:
            self._writer.rollback()
            self._writer.wait_merging_threads()
            self._writer = None

    def _open_writer(self) -> "tantivy.IndexWriter":
        if self._writer is None:
            try:
                self._writer = self._index.writer(_WRITER_BYTES, num_threads=1)
            except ValueError as error:
                if "LockBusy" in str(error):
                    raise ProjectionInUse(self._folder) from error
                raise
        return self._writer

    def _translated(self) -> AbstractContextManager[None]:
        return damage_translated(self._folder, ValueError, KeyError, TypeError, OSError)


def _check_sums(folder: Path) -> None:
    """Compare each file with the CRC-32 that tantivy wrote at its end.

    tantivy does not do so when it opens an index, and over wrong bytes it panics or, worse, finds other passages.
    A file ends with its footer as JSON, the footer's length and a magic number, 4 bytes each (tantivy,
    src/directory/footer.rs).
    """
    if not (folder / "meta.json").exists():
        return
    for segment in json.loads((folder / "meta.json").read_text("utf-8"))["segments"]:
        # Other files lie there too: leftovers of what was never committed, which tantivy does not read.
        name = segment["segment_id"].replace("-", "")
        suffixes = [*_PARTS, f".{segment['deletes']['opstamp']}.del"] if segment["deletes"] else _PARTS
        for file in (folder / f"{name}{suffix}" for suffix in suffixes):
            _check_sum(folder, file)


def _check_sum(folder: Path, file: Path) -> None:
    if not file.exists():
        return  # not every segment has every part; tantivy says so where it misses one
    data = file.read_bytes()
    body = max(0, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))
    if zlib.crc32(data[:body]) != json.loads(data[body:-8])["crc"]:
        raise ProjectionDamaged(folder, f"{file.name} is not what was written")


def idf(frequency: float, count: int) -> float:
    """Return what a word is worth that stands in `frequency` of `count` passages; never negative."""
    return math.log((count + 1) / (frequency + 0.5))


def worths(tokens: Iterable[str], frequencies: Mapping[str, int], count: int) -> dict[str, float]:
    """Return the idf of a question's tokens.

    Args:
        tokens: Of the question.
        frequencies: In how many passages each of them stands.
        count: How many passages there are.
    """
    return {token: idf(frequencies.get(token, 0), count) for token in tokens}
