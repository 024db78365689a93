"""What a sync has to do is worked out without any disk."""

from retrieval.catalogue.rows import Known
from retrieval.reading.walk import LEADS_OUT, Entry, Walk
from retrieval.sync.plan import Plan, Recipes, plan

RECIPES: Recipes = {"indexed": "today", "skipped": "today 100"}
INDEXED = Known("sha", 3, 5, "indexed", "", "today", recheck=False, ctime_ns=7)
SKIPPED = Known("", 3, 5, "skipped", "it says so", "today 100", recheck=False, ctime_ns=7)


def planned(known: dict[str, Known], *entries: Entry, unseen: tuple[str, ...] = ()) -> Plan:
    return plan(known, Walk({entry.source: entry for entry in entries}, unseen), RECIPES)


def seen(source: str, size: int = 3, mtime_ns: int = 5, reason: str = "", ctime_ns: int = 7) -> Entry:
    return Entry(source, size, mtime_ns, reason, ctime_ns)


def sources(entries: tuple[Entry, ...]) -> list[str]:
    return [entry.source for entry in entries]


def test_files_that_are_as_they_were_are_left_alone_and_counted() -> None:
    found = planned({"a": INDEXED, "b": SKIPPED}, seen("a"), seen("b"))
    assert found == Plan((), (), (), {}, {}, {}, {}, unchanged=1, skipped=1) and found.total == 0


def test_a_file_that_is_not_known_is_added() -> None:
    found = planned({}, seen("a"))
    assert sources(found.added) == ["a"] and found.before == {} and found.total == 1


def test_a_file_of_another_size_time_or_recipe_is_updated_and_so_is_one_to_be_rechecked() -> None:
    known = {
        "larger": INDEXED,
        "later": INDEXED,
        "other": INDEXED._replace(recipe="yesterday"),
        "limit": SKIPPED._replace(recipe="today 50"),
        "recheck": INDEXED._replace(recheck=True),
    }
    entries = [seen(source, 4 if source == "larger" else 3, 6 if source == "later" else 5) for source in known]
    found = planned(known, *entries)
    assert sources(found.updated) == list(known) and found.before == known


def test_a_file_that_has_gone_is_removed_and_may_have_been_renamed_if_it_was_read_as_today() -> None:
    known = {"a.txt": INDEXED, "b.txt": INDEXED, "c.md": INDEXED, "d.txt": INDEXED._replace(recipe="old"), "e": SKIPPED}
    found = planned(known)
    assert found.removed == known
    assert found.renameable == {("sha", ".txt"): ("a.txt", "b.txt"), ("sha", ".md"): ("c.md",)}


def test_a_file_in_a_folder_that_could_not_be_opened_is_not_gone() -> None:
    known = {"in/a": INDEXED, "inside": INDEXED}
    assert planned(known, unseen=("in",)).removed == {"inside": INDEXED}
    assert planned(known, unseen=("",)).removed == {}


def test_what_is_not_to_be_opened_is_refused_with_new_ones_first_and_left_alone_the_next_time() -> None:
    known = {"a": INDEXED, "c": SKIPPED._replace(reason=LEADS_OUT)}
    found = planned(known, seen("a", 9, 9, LEADS_OUT), seen("b", reason=LEADS_OUT), seen("c", reason=LEADS_OUT))
    assert sources(found.refused) == ["b", "a"] and found.before == {"a": INDEXED}
    assert (found.added, found.updated, found.skipped) == ((), (), 1)


def test_a_file_of_another_change_time_is_updated() -> None:
    assert sources(planned({"a": INDEXED}, seen("a", ctime_ns=8)).updated) == ["a"]


def test_a_change_time_that_was_not_known_is_remembered_and_the_file_left_alone() -> None:
    found = planned({"a": INDEXED._replace(ctime_ns=0), "b": INDEXED}, seen("a"), seen("b"))
    assert (found.change_times, found.unchanged, found.total) == ({"a": INDEXED}, 2, 0)


def test_a_full_sync_takes_no_size_and_no_time_for_the_bytes() -> None:
    found = plan({"a": INDEXED}, Walk({"a": seen("a")}, ()), RECIPES, full=True)
    assert sources(found.updated) == ["a"] and found.unchanged == 0
