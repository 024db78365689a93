"""Relevant, weak and nothing; codes; a named source. Words alone are searched, so that no weights are needed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retrieval.knowledge_base import KnowledgeBase
from retrieval.records import Filter
from retrieval.search.relevance import RELEVANT, THRESHOLD, match_of, relevance
from retrieval.search.rerank import BudgetedReranker
from retrieval.settings import RetrievalSettings

Opened = Callable[[dict[str, str]], KnowledgeBase]


@pytest.fixture
def base_of(tmp_path: Path) -> Iterator[Opened]:
    bases: list[KnowledgeBase] = []

    def opened(files: dict[str, str]) -> KnowledgeBase:
        folder = tmp_path / "documents"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        settings = RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none")
        bases.append(KnowledgeBase(settings, tmp_path / "home"))
        bases[0].sync()
        return bases[0]

    yield opened
    for base in bases:
        base.close()


def test_what_is_shown_is_called_relevant_or_weak_and_what_is_neither_is_left_out() -> None:
    assert THRESHOLD < RELEVANT
    assert [match_of(helps) for helps in (THRESHOLD, RELEVANT - 0.01, RELEVANT, 1.0)] == [
        "weak", "weak", "relevant", "relevant",
    ]  # fmt: skip


def test_a_question_in_another_language_is_judged_by_likeness_alone() -> None:
    assert relevance(0.0, 0.9, 8, lexical_sees=False) >= THRESHOLD, "not a word is shared, and it says the same"
    assert relevance(0.0, 0.0, 8, lexical_sees=False) < THRESHOLD


def test_a_rare_code_comes_first_bare_and_inside_a_question(base_of: Opened) -> None:
    filler = {
        f"invoice{n}.txt": f"Please pay the open invoice number INV-2024-{n:04}; the amount of the invoice is due now."
        for n in range(12)
    }
    base = base_of(filler | {"note.txt": "The open invoice, the invoice number and the amount of the invoice due."})
    for question in ("INV-2024-0007", "What is the open amount due on invoice number INV-2024-0007?"):
        assert base.search(question).hits[0].source == "invoice7.txt"


@pytest.mark.parametrize(
    "question", ["strikethrough", "Which file is about strikethrough?", "show me the document on strikethrough"]
)
def test_a_word_that_only_a_files_name_holds_finds_the_file(base_of: Opened, question: str) -> None:
    base = base_of({"strikethrough.txt": "Today's salmon: sold out.", "lamp.txt": "The lamp has a fan."})
    first = base.search(question).hits[0]
    assert (first.source, first.match) == ("strikethrough.txt", "relevant")


def test_with_a_source_the_best_hit_is_shown_whatever_it_is_worth(base_of: Opened) -> None:
    base = base_of({"lamp.txt": "The lamp has a fan.", "leave.txt": "Annual leave is thirty days in this company."})
    question = "Does a lamp flicker whenever colleagues organise birthday parties downstairs?"
    (hit,) = base.search(question, wanted=Filter(source="lamp.txt")).hits
    assert hit.source == "lamp.txt" and hit.match == "weak"
    assert not base.search(question).hits


@pytest.mark.parametrize(
    ("question", "holds"),
    [
        ("什么时候体检", "体检在每年六月"),
        ("体检是什么时候", "体检在每年六月"),
        ("體檢是什麼時候", "体检在每年六月"),
        ("报销怎么办理", "三十天"),
        ("我想知道年假有多少天", "十五天"),
    ],
)
def test_a_chinese_question_finds_its_passage_however_it_is_asked(base_of: Opened, question: str, holds: str) -> None:
    base = base_of(
        {
            "体检.txt": "公司为员工安排体检。体检在每年六月进行,由人事部门通知。",
            "报销.txt": "报销须在三十天内办理,并附发票。",
            "年假.txt": "员工每年的年假为十五天。",
        }
    )
    assert holds in base.search(question).hits[0].text


def test_the_name_of_a_file_is_searched_and_a_new_name_at_once(base_of: Opened) -> None:
    budget = "The total is 41,250 euros, of which the workshop takes a third."
    base = base_of({"Kestrel budget.txt": budget, "Osprey budget.txt": "The total is 7,300 euros, without a workshop."})
    assert base.search("What does the Kestrel budget say?").hits[0].text == budget
    folder = base.folder
    (folder / "Kestrel budget.txt").rename(folder / "Merlin budget.txt")
    base.sync()
    assert base.search("What does the Merlin budget say?").hits[0].text == budget
    assert base.search("Kestrel").hits == (), "the old name is forgotten"


def test_which_kind_a_file_is_of_makes_no_passage_relevant(base_of: Opened) -> None:
    base = base_of({"one.txt": "The lamp has a fan.", "two.txt": "Leave is thirty days."})
    assert base.search("txt").hits == ()


def test_a_code_in_the_name_of_a_file_finds_it(base_of: Opened) -> None:
    filler = {f"INV-2024-{n:04}.txt": f"Payment is due within {n + 10} days." for n in range(12)}
    base = base_of(filler)
    assert base.search("When is INV-2024-0007 due?").hits[0].source == "INV-2024-0007.txt"


def test_what_stands_in_quotation_marks_stands_together(base_of: Opened) -> None:
    apart = "The harbour master of the old harbour wrote to the master of the new one about a new harbour."
    base = base_of(
        {"apart.txt": apart, "together.txt": "Of many things, among them tides, the new harbour master knew."}
    )
    for marks in ('"new harbour master"', "“new harbour master”"):
        assert base.search(f"harbour harbour {marks}").hits[0].source == "together.txt"


def test_a_turkish_question_finds_other_forms_of_its_words(base_of: Opened) -> None:
    base = base_of(
        {
            "garanti.txt": "Pompanın garantisi üç yıldır ve her yıl bakım yapılması gerekir.",
            "kitap.txt": "Kütüphanedeki kitapların çoğu geçen yıl yeniden ciltlendi.",
            "izin.txt": "Çalışanların yıllık izinleri on beş gündür.",
        }
    )
    assert base.search("kitap ciltleri").hits[0].source == "kitap.txt"
    assert base.search("pompalar").hits[0].source == "garanti.txt"


def test_documents_in_two_languages_are_each_searched_in_their_own(base_of: Opened) -> None:
    base = base_of(
        {
            "pumpe.txt": "Die Häuser im Hafen werden von einer Pumpe entwässert, die jährlich gewartet wird.",
            "pump.txt": "The harbour's cranes are inspected every year by an engineer of the city.",
        }
    )
    assert base.search("Haus").hits[0].source == "pumpe.txt"
    assert base.search("crane inspections").hits[0].source == "pump.txt"


def test_a_misspelled_word_finds_the_nearest_one_and_the_outcome_says_so(base_of: Opened) -> None:
    base = base_of(
        {
            "lamp.txt": "The guarantee of the lamp lasts three years.",
            "shelf.txt": "A part of the shelf is painted.",
            "leave.txt": "Annual leave is thirty days in this company.",
        }
    )
    found = base.search("How long is the garantee of the lamp?")
    assert (found.hits[0].source, found.hits[0].match) == ("lamp.txt", "relevant")
    assert any('so "How long is the guarantee' in note for note in found.degraded)
    guessed = base.search("Garantee")
    assert [(hit.source, hit.match) for hit in guessed.hits] == [("lamp.txt", "weak")], "it may be a name"
    assert 'spelling: a word of the question is in no document, so "guarantee" was searched for' in guessed.degraded
    assert not base.search("submarine").hits, "nothing is near"
    assert not base.search("Is there anything about parking?").hits, "a near stem under another ending is another word"
    assert not any("spelling" in note for note in base.search("guarantee").degraded)


def test_of_something_that_no_document_mentions_nothing_is_called_relevant_and_that_is_said(base_of: Opened) -> None:
    filler = {
        f"invoice{n}.txt": f"Please pay the open invoice number INV-2024-{n:04}; the amount of the invoice is due now."
        for n in range(12)
    }
    base = base_of(filler)
    for question in ("INV-2024-0099", "What is the open amount due on invoice number INV-2024-0099?"):
        found = base.search(question)
        assert all(hit.match == "weak" for hit in found.hits), question
        assert "codes: no document mentions INV-2024-0099" in found.degraded
    known = base.search("Is the invoice INV-2024-0007 due on the 3rd or in 10 days?")
    assert known.hits[0].match == "relevant" and not any("codes" in note for note in known.degraded)


def test_dates_and_amounts_in_another_form_are_as_relevant_as_in_the_same(base_of: Opened) -> None:
    base = base_of(
        {
            "minutes.txt": "Minutes of the meeting of 12 March 2026: a second mill is bought for 86,000 euros.",
            "leave.txt": "Annual leave is thirty days in this company.",
        }
    )
    for question in ("12/03/2026", "2026-03-12", "86.000 euros", "86 000"):
        assert [(hit.source, hit.match) for hit in base.search(question).hits] == [("minutes.txt", "relevant")]


@pytest.mark.parametrize(
    "question",
    [
        "Is there something in my documents about what happens when visitors arrive at the gate?",
        "Based on the uploaded documents, please provide a detailed answer to the following question: what happens "
        "when visitors arrive at the gate?",
        "Hello, I am new here and started in the workshop last Monday. My colleague with the red hair was kind enough "
        "to explain the coffee machine to me. What happens when visitors arrive at the gate?",
    ],
)
def test_a_question_in_many_words_finds_what_its_plain_form_does(base_of: Opened, question: str) -> None:
    base = base_of(
        {
            "gate.txt": "Visitors who arrive at the gate sign in and wear a badge.",
            "leave.txt": "Annual leave is thirty days in this company.",
            "pump.txt": "If the pump draws air, open the valve and wait ten seconds.",
        }
    )
    hits = base.search(question).hits
    assert hits and (hits[0].source, hits[0].match) == ("gate.txt", "relevant")


LONG = "\n\n".join(
    f"# Part {n}\n\n" + f"In part {n} there is a word about the subject of number {n}. " * 30 for n in range(6)
)


def test_a_document_from_its_beginning_is_put_in_no_other_order_by_a_reranker(base_of: Opened) -> None:
    base = base_of({"long report.md": LONG})
    base.use_reranker(BudgetedReranker("backwards", lambda _, passages: [n / 9 for n in range(len(passages))]))
    hits = base.search("Summarise long report.md", 3).hits
    assert len(hits) == 3 and [hit.start for hit in hits] == sorted(hit.start for hit in hits)
    assert base.search("subject of number", 3).mode.endswith("rerank")


@pytest.mark.parametrize(
    "question",
    ["Summarise long report.md", "总结一下 long_report.md", "what is in Long-Report.md?", "long report.md",
     "please summarise the long report"],
)  # fmt: skip
def test_asked_for_the_whole_of_a_document_a_search_gives_its_beginning(base_of: Opened, question: str) -> None:
    base = base_of({"long report.md": LONG, "summary.txt": "A report that is long is summarised on one page."})
    found = base.search(question, 3)
    assert [(hit.source, hit.match) for hit in found.hits] == [("long report.md", "relevant")] * 3
    assert [hit.start for hit in found.hits] == sorted(hit.start for hit in found.hits) and found.hits[0].start == 0
    assert any("long report.md: asked for whole, its first 3 of" in note for note in found.degraded)


@pytest.fixture
def manual(tmp_path: Path) -> Iterator[KnowledgeBase]:
    """Of nine pages, each saying which one it is."""
    from reportlab.pdfgen.canvas import Canvas

    (tmp_path / "documents").mkdir()
    canvas = Canvas(str(tmp_path / "documents" / "manual.pdf"))
    for number in range(1, 10):
        canvas.drawString(72, 700, f"Valve number {number} is closed by hand before the pump is taken out.")
        canvas.showPage()
    canvas.save()
    settings = RetrievalSettings(kb=tmp_path / "documents", embedder="no-such-model", reranker="none")
    base = KnowledgeBase(settings, tmp_path / "home")
    base.sync()
    yield base
    base.close()


@pytest.mark.parametrize(
    "question", ["manual.pdf page 7", "Page 7 of manual.pdf", "Seite 7 manual.pdf", "总结 manual.pdf 第7页"]
)
def test_asked_for_a_page_of_a_document_a_search_gives_that_page(manual: KnowledgeBase, question: str) -> None:
    found = manual.search(question)
    assert [(hit.page, hit.match) for hit in found.hits] == [(7, "relevant")]
    (read,) = manual.asked_whole(question)
    assert [hit.page for hit in read.hits] == [7]


@pytest.mark.parametrize("question", ["manual.pdf page 3-5", "summarise manual.pdf page by page 2 sentences each"])
def test_asked_for_several_pages_a_search_gives_how_the_document_begins(manual: KnowledgeBase, question: str) -> None:
    assert [hit.page for hit in manual.search(question, 2).hits] == [1, 2]


def test_asked_for_a_page_that_is_not_there_a_search_says_so_and_gives_the_beginning(manual: KnowledgeBase) -> None:
    found = manual.search("manual.pdf page 99", 2)
    assert [hit.page for hit in found.hits] == [1, 2]
    assert "manual.pdf: nothing stands on page 99, its pages with text end with 9" in found.degraded


def test_a_question_about_a_named_file_is_answered_from_it_first_and_from_others_behind(base_of: Opened) -> None:
    base = base_of(
        {
            "a.txt": "The lamp of the east wing is switched off at ten.",
            "b.txt": "The lamp of the west wing, a lamp with a lamp post, is a lamp that is switched off at nine.",
            "ab.txt": "Leave is thirty days.",
        }
    )
    hits = base.search("When is the lamp switched off, says a.txt?").hits
    assert [hit.source for hit in hits] == ["a.txt", "b.txt"]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    (weak,) = base.search("Does ab.txt tell anything about fishing licences?").hits
    assert (weak.source, weak.match) == ("ab.txt", "weak"), "whoever names a file wants to see what it says"


def test_the_words_of_a_files_name_make_none_of_its_passages_an_answer(base_of: Opened) -> None:
    base = base_of({"fire-insurance-policy.txt": "The insurance policy covers fire. " * 3, "b.txt": "The lamp is new."})
    found = base.search("What does fire-insurance-policy.txt say about zeppelins?")
    assert [(hit.source, hit.match) for hit in found.hits] == [("fire-insurance-policy.txt", "weak")]


def test_function_words_are_never_taken_for_misspelled(base_of: Opened) -> None:
    base = base_of({"lamp.txt": "That the lamp has a fan is what the guarantee says."})
    found = base.search("when then garantee")
    assert any('"when then guarantee"' in note for note in found.degraded)


@pytest.mark.parametrize("written", ["KX-90", "KX_90", "KX/90", "KX90"])
@pytest.mark.parametrize("asked", ["kx90", "KX-90", "Which adapter is the KX_90?"])
def test_a_short_code_is_found_however_its_letters_and_digits_are_set_apart(
    written: str, asked: str, base_of: Opened
) -> None:
    base = base_of(
        {"part.txt": f"The adapter {written} fits the lamp.", "other.txt": "The adapter KX-91 fits the pump."}
    )
    found = base.search(asked)
    assert (found.hits[0].source, found.hits[0].match) == ("part.txt", "relevant")
    assert not any("no document mentions" in note for note in found.degraded)


def test_a_word_that_everybody_knows_is_never_taken_for_a_slip(base_of: Opened) -> None:
    base = base_of({"log.txt": "The log of the pump is kept for a year.", "complaint.txt": "A complaint takes a week."})
    for question in ("How long is it?", "May I complain about the pump?"):
        assert not any("spelling" in note for note in base.search(question).degraded), question


def test_a_name_of_two_words_is_found_in_a_document_of_another_language(base_of: Opened) -> None:
    german = (
        "Die Backstube ist montags geschlossen, und die Mitarbeiter bekommen an diesem Tag ihren freien Nachmittag."
    )
    base = base_of(
        {
            "invoices.txt": "The invoice for the Hotel Adler has not been paid and has been open since last spring.",
            "backstube.txt": german,
            "oven.txt": "The oven has to be cleaned every evening after the last loaf has been taken out of it.",
        }
    )
    found = base.search("Welche Rechnungen des Hotel Adler sind offen?")
    assert [(hit.source, hit.match) for hit in found.hits] == [("invoices.txt", "weak")]


def test_a_code_means_the_same_in_a_question_of_another_language(base_of: Opened) -> None:
    base = base_of(
        {
            "door.txt": "The message ERR_42 of the door controller means that the badge has expired.",
            "leave.txt": "Annual leave is thirty days in this company.",
        }
    )
    for question in ("ERR_42 是什么意思?", "Was bedeutet eigentlich die Fehlermeldung ERR_42 an unserer Haustür?"):
        assert [(hit.source, hit.match) for hit in base.search(question).hits] == [("door.txt", "relevant")], question


def test_a_passage_with_the_code_that_is_asked_about_is_never_hidden(base_of: Opened) -> None:
    base = base_of({"pump.txt": "QX-4477-B: prime it before first use.", "leave.txt": "Leave is thirty days."})
    question = "Which colleagues were responsible for ordering, installing and testing the QX-4477-B last autumn?"
    assert [(hit.source, hit.match) for hit in base.search(question).hits] == [("pump.txt", "weak")]


def test_a_name_with_a_slip_is_taken_for_the_one_that_is_there_and_one_of_no_document_is_said_to_be_none(
    base_of: Opened,
) -> None:
    base = base_of({"warranty.txt": "The lamp is covered for three years.", "leave.txt": "Leave is thirty days."})
    found = base.search("Summarise warrenty.txt")
    assert [hit.source for hit in found.hits] == ["warranty.txt"]
    assert "documents: there is no 'warrenty.txt', warranty.txt was taken for it" in found.degraded
    (whole,) = base.asked_whole("总结一下 warrenty.txt")
    assert whole.source == "warranty.txt" and "warrenty.txt" in whole.notes[0]
    other = base.search("What does budget.xlsx say about leave days?")
    assert "documents: there is no 'budget.xlsx' among them" in other.degraded
    assert not any("documents:" in note for note in base.search("What is node.js, and what leave.txt?").degraded)


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("Summarise the lease", "Lease_Agreement_2024.txt"),
        ("Summarize the lease agreement, please", "Lease_Agreement_2024.txt"),
        ("Fasse die Satzung zusammen", "Vereinssatzung.txt"),
        ("Résume les statuts", "Statuts de l'association.txt"),
        ("总结一下保险合同", "家财险保险合同2023.txt"),
        ("tl;dr of the lasagne recipe", "recipe for lasagne.txt"),
    ],
)
def test_a_summary_may_name_a_document_by_some_words_of_its_name(base_of: Opened, question: str, meant: str) -> None:
    names = [
        "Lease_Agreement_2024",
        "Vereinssatzung",
        "Statuts de l'association",
        "recipe for lasagne",
        "家财险保险合同2023",
    ]
    base = base_of({f"{name}.txt": f"What {n} says." for n, name in enumerate(names)})
    (whole,) = base.asked_whole(question)
    assert whole.source == meant
    assert f"was taken for {meant}" in whole.notes[0]


def test_a_summary_of_something_in_a_document_or_of_what_many_are_called_is_no_summary_of_one(base_of: Opened) -> None:
    reports = {f"report {month}.txt": f"Sales of {month}." for month in ("May", "June", "July", "August")}
    base = base_of({"lease.txt": "Pets are welcome.", **{f"board {name}": text for name, text in reports.items()}})
    assert not base.asked_whole("Summarise the lease terms about pets")
    assert not base.asked_whole("Summarise the board report")
    assert [one.source for one in base.asked_whole("Summarise the board report of July")] == ["board report July.txt"]


@pytest.mark.parametrize(
    ("question", "written"),
    [("When is the postmortem?", "post-mortem"), ("When is the stand-down?", "standdown")],
)
def test_a_word_that_documents_write_apart_or_as_one_is_found(base_of: Opened, question: str, written: str) -> None:
    base = base_of(
        {"chat.txt": f"The {written} is on Wednesday at three.", "lamp.txt": "The lamp is blue, and dimmed."}
    )
    found = base.search(question)
    assert [(hit.source, hit.match) for hit in found.hits] == [("chat.txt", "relevant")]
    assert any(written in note for note in found.degraded if note.startswith("spelling:"))


@pytest.mark.parametrize(
    ("question", "source"),
    [("INV2274", "bank.csv"), ("KV68RTO", "tax.txt"), ("BIO 201 exam", "exams.txt"), ("378", "orders.csv"),
     ("502", "chat.txt")],
)  # fmt: skip
def test_codes_and_amounts_are_found_however_tables_and_chats_write_them(
    base_of: Opened, question: str, source: str
) -> None:
    base = base_of(
        {
            "bank.csv": "day,text,amount\n03/01/2025,BLUEBELL BAKERY INV 2274,-88.10\n",
            "tax.txt": "The vehicle tax for KV68 RTO is due.",
            "exams.txt": "BIO201 is written on Monday; PHY101 is an oral exam.",
            "orders.csv": "order,customer,sku,qty,total\nSO-1,C1017,BK-100,20,378.00\nSO-2,C1018,BK-101,5,12.50\n",
            "chat.txt": "The checkout is throwing 502s since this morning.",
        }
    )
    found = base.search(question)
    assert (found.hits[0].source, found.hits[0].match) == (source, "relevant")
    assert not any(note.startswith("codes:") for note in found.degraded)


@pytest.mark.parametrize("question", ["2024-10-15", "15 October 2024", "Who wrote on 2024-10-15?"])
def test_a_day_that_no_document_mentions_is_no_sure_answer_of_its_parts(base_of: Opened, question: str) -> None:
    base = base_of({"chat.txt": "12/05/2024 Ben: see you at 10\n14/05/2024 Ana: at 15 past\n01/10/2024 Ben: no"})
    found = base.search(question)
    assert {hit.match for hit in found.hits} <= {"weak"}
    assert "codes: no document mentions" in " ".join(found.degraded)


def test_a_word_that_is_one_is_not_taken_for_another_that_begins_otherwise(base_of: Opened) -> None:
    base = base_of({"party.txt": "Des does the cake, and please take a chair home.", "lamp.txt": "The lamp is blue."})
    found = base.search("Who bakes the cake?")
    assert [hit.source for hit in found.hits] == ["party.txt"]
    assert not any(note.startswith("spelling:") for note in found.degraded)


def test_of_a_name_that_no_document_mentions_nothing_is_a_sure_answer(base_of: Opened) -> None:
    base = base_of(
        {
            "customers.txt": "Our customers in Hull: Kestrel School Kitchen, Marigold Bistro and the Harbour Cafe.",
            "van.txt": "The van is to be washed once a month, and its tyres are changed in November.",
        }
    )
    assert [(hit.source, hit.match) for hit in base.search("customers in Hull").hits] == [("customers.txt", "relevant")]
    assert {hit.match for hit in base.search("customers in London").hits} <= {"weak"}
    assert [hit.match for hit in base.search("Customers In Hull And Elsewhere").hits] == ["relevant"], "a headline"


def test_a_table_whose_language_cannot_be_told_is_found_in_that_of_the_others(
    base_of: Opened,
) -> None:
    base = base_of(
        {
            "presupuesto.csv": "artículo;n;euros\nplástica blanca 15 l;2;48,50\nrodillos;4;6,20\n",
            "contrato.txt": "El contrato de alquiler del local dura tres años y la fianza es de dos mensualidades.",
            "acta.txt": "La junta directiva aprobó la compra de una lavadora nueva para el local de la calle Mayor.",
        }
    )
    hits = base.search("¿Cuál es el precio de los rodillos?").hits
    assert [hit.source for hit in hits][:1] == ["presupuesto.csv"]
    assert [hit.source for hit in base.search("presupuesto blanca").hits][:1] == ["presupuesto.csv"]


def test_an_ending_behind_an_apostrophe_makes_no_code_of_a_number(base_of: Opened) -> None:
    base = base_of({"tarih.txt": "Savaş 1520 yılında başladı ve üç yıl sürdü."})
    found = base.search("Savaş 1520'de mi başladı?")
    assert [hit.match for hit in found.hits] == ["relevant"]
    assert not any(note.startswith("codes:") for note in found.degraded)


def test_a_passage_without_the_very_words_that_are_quoted_is_weak(base_of: Opened) -> None:
    base = base_of({"gate.txt": "Visitors wear a badge, and blue is the colour of the gate."})
    assert [hit.match for hit in base.search('Where does it say "wear a badge"?').hits] == ["relevant"]
    assert [hit.match for hit in base.search('Where does it say "blue badge"?').hits] == ["weak"]
    assert [hit.match for hit in base.search("Is there a blue badge at the gate?").hits] == ["relevant"]


def test_a_search_that_finds_no_answer_says_which_files_it_could_not_see(base_of: Opened) -> None:
    base = base_of({"lamp.txt": "The lamp of the east wing is switched off at ten.", "torn.pdf": "%PDF-1.7 torn"})
    note = "documents: 1 file was not read; `lorgnette kb list --skipped` says why"
    assert note in base.search("What does the ferry cost?").degraded
    assert note not in base.search("When is the lamp switched off?").degraded


INVOICES = {
    "a.txt": "Invoice for lamps. Total due 186.50 EUR, issued on 3 May 2024.",
    "b.txt": "Invoice for chairs. Total due 912.00 EUR, issued on 7 June 2024.",
    "lease.txt": "The rent of the studio is GBP 1,850 a month, payable in advance.",
    "printer.md": "| code | meaning |\n|---|---|\n| E-41 | head temperature too high |\n| E-42 | no paper |",
}


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("invoice over 186,5 EUR", "a.txt"),
        ("invoice of 03.05.2024", "a.txt"),
        ("total due 912", "b.txt"),
        ("GBP 1,850.00", "lease.txt"),
        ("what does E41 mean", "printer.md"),
    ],
)
def test_of_an_amount_a_date_or_a_code_only_what_mentions_it_is_called_relevant(
    base_of: Opened, question: str, source: str
) -> None:
    found = base_of(INVOICES).search(question)
    assert found.hits[0].source == source
    assert [hit.source for hit in found.hits if hit.match == "relevant"] == [source]
    assert not [note for note in found.degraded if note.startswith("codes")]
