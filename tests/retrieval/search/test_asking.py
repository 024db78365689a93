"""What a question asks once the words that only ask are taken off."""

import pytest

from retrieval.search.asking import asks_for_all, asks_for_everything, asks_for_summary, plainly, readings


@pytest.mark.parametrize(
    ("question", "left"),
    [
        (
            "In the documents that I gave you, is there anything that says how many days of leave I may carry over?",
            "how many days of leave I may carry over",
        ),
        ("Is there something in my documents about visitors at the gate?", "about visitors at the gate"),
        (
            "Based on the uploaded documents, please provide a detailed answer to the following question: "
            "how often are the seals replaced?",
            "how often are the seals replaced",
        ),
        ("Can you check if the documents mention the price of the machine?", "the price of the machine"),
        ("Give me all information about seals", "about seals"),
        ("how many days of leave do I get according to the files I uploaded", "how many days of leave do I get"),
        ("Please tell me, do you know when INV-2024-0007 is due?", "when INV-2024-0007 is due"),
        (
            "Steht in den Dokumenten, die ich dir gegeben habe, etwas darüber, wie viele Urlaubstage ich habe?",
            "wie viele Urlaubstage ich habe",
        ),
        ("Bitte sag mir, laut meinen Unterlagen, wie lange die Garantie gilt.", "wie lange die Garantie gilt"),
        (
            "Dans les documents que je t'ai donnés, est-ce que quelque chose dit combien de jours il y a ?",
            "combien de jours il y a",
        ),
        ("Según los documentos, ¿cuántos días de vacaciones hay?", "cuántos días de vacaciones hay"),
        ("在我给你的文档里有没有提到发票要几天内交?", "发票要几天内交?"),
        ("根据我上传的文档,请回答下面的问题:收据要在几天内提交?", "收据要在几天内提交?"),
        ("请帮我查一下年假有多少天", "年假有多少天"),
        (
            "My colleague asked me during lunch how long our passwords have to be and I could not answer him.",
            "how long our passwords have to be",
        ),
        ("I am not sure whether the lamp is covered by the warranty", "whether the lamp is covered by the warranty"),
        (
            "Mein Kollege hat mich gefragt, wie lange die Garantie der Lampe gilt.",
            "wie lange die Garantie der Lampe gilt",
        ),
        ("昨天吃午饭的时候同事问我年假可以结转几天,我没答上来。", "年假可以结转几天"),
        ("Which file is about fire drills?", "fire drills"),
        ("which of my documents talks about kitchen lights?", "kitchen lights"),
        ("Which report covers the third quarter?", "the third quarter"),
        ("Find the pdf on topology", "topology"),
        ("Show me where vacation is mentioned", "vacation"),
        ("Where is the K3 described in my documents?", "the K3"),
        ("Welche Datei handelt von der Garantie?", "der Garantie"),
        ("In welchem Dokument steht etwas über Urlaub?", "Urlaub"),
        ("Quel document parle de la garantie ?", "garantie"),
        ("Dans quel fichier est mentionnée la garantie ?", "la garantie"),
        ("¿Qué documento habla del contrato?", "contrato"),
        ("哪个文件提到了体检?", "体检"),
        ("体检在哪个文件里?", "体检"),
        ("哪份报告是关于预算的?", "预算"),
    ],
)
def test_words_that_only_ask_are_taken_off(question: str, left: str) -> None:
    assert plainly(question) == left


@pytest.mark.parametrize(
    "question",
    [
        "How do I check the pump?",
        "Who told the board what the machine costs?",
        "How do I upload files to the portal?",
        "What documents are required for the visa?",
        "What questions may be asked in an interview?",
        "document retention period",
        "What is the document retention period?",
        "Which file is about to be deleted?",
        "Which reports have about 500 pages?",
        "where is" + " " * 900 + "x",
        "What document do I need for the visa?",
        "What is in the report about the budget?",
        "What does the contract say about termination?",
        "How long is the warranty?",
        "I bought the K3 last year. Its lamp is broken. Is that covered by the warranty?",
        "文档保存期限是多久",
        "Hello",
        "你好",
        "INV-2024-0007",
        "",
        "???",
    ],
)
def test_what_is_asked_about_stays_even_where_it_sounds_like_asking(question: str) -> None:
    assert plainly(question) == question


def test_a_story_and_what_nobody_could_tell_need_not_be_covered() -> None:
    story = "Hi, I am new here. I started in the workshop last Monday. How many days of leave do I get?"
    assert "How many days of leave do I get?" in readings(story)
    assert "whether passwords have a length" in readings(
        "Nobody in my team could tell me, whether passwords have a length."
    )
    claimed = readings("I was told by finance that taxi rides from the airport are not paid. Is that true?")
    assert "taxi rides from the airport are not paid" in claimed
    assert readings("How long is the warranty?") == ["How long is the warranty?"]


@pytest.mark.parametrize(
    ("rest", "whole"),
    [
        ("Summarise", True), ("总结一下", True), ("what is in ?", True), ("what does say?", True), ("", True),
        ("what are the key points of ?", True), ("帮我看看里面讲了什么", True), ("worum geht es in ?", True),
        ("de quoi parle ?", True), ("Translate into English", True),
        ("What does say about lamps?", False), ("里面的保修期多长", False), ("who signed ?", False),
        ("summarise the lamp section of", False),
    ],
)  # fmt: skip
def test_asking_for_all_of_a_document_is_told_from_asking_about_something_in_it(rest: str, whole: bool) -> None:
    assert asks_for_all(rest) == whole


@pytest.mark.parametrize(
    ("question", "everything"),
    [
        ("Summarise my documents", True), ("Give me an overview of all the files, please", True),
        ("总结一下我的文档", True), ("Fasse meine Dokumente zusammen", True),
        ("Give me a summary", False), ("总结一下", False), ("Which documents mention lamps?", False),
        ("Summarise what my documents say about lamps", False), ("my documents", False),
    ],
)  # fmt: skip
def test_a_summary_of_the_documents_is_told_from_one_of_a_talk_or_of_a_subject(question: str, everything: bool) -> None:
    assert asks_for_everything(question) == everything


def test_a_bare_word_is_no_wish_for_a_summary() -> None:
    assert not asks_for_summary("") and not asks_for_summary("what is ?")
    assert asks_for_summary("summarise the") and asks_for_summary("概括一下")
