"""Whose words ask for the conversation to be saved, and whose do not."""

from random import Random

import pytest

from finetune.data.drawn.chinese import CHINESE
from finetune.data.drawn.english import ENGLISH
from finetune.data.drawn.wording import Wording
from graph.reading.save_wish import save_wish, speaks_of_saving


@pytest.mark.parametrize(
    "question",
    [
        "Archive this conversation.", "archive our session, please", "Save a summary of this session.",
        "Please save this conversation.", "Write a summary of our talk and save it.", "Save this chat for later.",
        "Save a summary of our conversation", "Could you archive this chat?", "Keep a record of our discussion.",
        "归档这次对话", "把这次对话存档。", "请保存我们的聊天记录", "请帮我把这段对话归档一下",
        "总结对话", "保存对话的总结",
    ],
)  # fmt: skip
def test_a_request_to_save_the_conversation_is_wanted(question: str) -> None:
    assert save_wish(question) == "wanted"


@pytest.mark.parametrize(
    "question",
    [
        "Do not archive this conversation.", "Please don't save this chat", "do not archive", "What is an archive?",
        "Is this an archive box?", "Save this picture", "save the image to disk",
        "How do I archive this conversation?",
        "Never save our chat.", "不要归档这次对话", "什么是归档?", "归档是什么意思", "保存这张图片",
        "这是档案盒吗?是不是存档用的",
        "Why was this conversation archived?", "把这张图保存下来", "There is no need to save this session.",
    ],
)  # fmt: skip
def test_denials_questions_and_other_things_are_unwanted(question: str) -> None:
    assert save_wish(question) == "unwanted"


@pytest.mark.parametrize(
    "question",
    [
        "Archive this.",
        "Count the boxes.",
        "Write it all down for me",
        "存一下",
        "Archivez cette conversation",
        "Wrap up",
    ],
)
def test_all_else_is_unsure(question: str) -> None:
    assert save_wish(question) == "unsure"


@pytest.mark.parametrize(
    "question", ["Welche Form hat das grüne Objekt?", "Quelle est la couleur du cercle ?", "Count the boxes."]
)
def test_a_question_without_any_word_of_saving_speaks_of_none(question: str) -> None:
    assert not speaks_of_saving(question)


@pytest.mark.parametrize("language", [ENGLISH, CHINESE])
def test_every_wish_that_the_bundled_checkpoint_was_taught_speaks_of_saving(language: Wording) -> None:
    wishes = {language.question(Random(n), "save", unseen=bool(n % 2)) for n in range(300)}
    assert len(wishes) > 5 and all(map(speaks_of_saving, wishes))
