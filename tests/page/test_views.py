"""The views in NiceGUI's own simulation of a user, without a browser: what is shown, and what a click does."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from finetune.config.loading import load_config
from finetune.errors import FinetuneError
from graph.agent import Agent
from graph.served_agent import ServedAgent
from lorgnette.archive import open_archive
from lorgnette.documents import Documents
from lorgnette.settings import Settings, load_settings
from model.open import ModelIdentity
from page.desk import Desk
from retrieval.library import remember
from tests.servers import need

if TYPE_CHECKING:
    from nicegui.testing import User

pytestmark = pytest.mark.anyio
WAIT = 300
"""Looks at the page, a tenth of a second apart, before something is missing: a busy machine is no reason to fail."""
Visit = Callable[..., Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Nobody(ServedAgent):
    """A model that is there and is asked nothing."""

    identity = ModelIdentity("tiny", None, "none")

    def answer(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nobody asks")


class Loader:
    """An agent that is there."""

    def opened(self) -> ServedAgent:
        return Nobody()

    def state(self) -> tuple[str, str, float]:
        return "ready", "ready", 1.0

    def handshake_done(self) -> None: ...


@asynccontextmanager
async def simulated(settings: Settings, view: str, languages: str) -> "AsyncIterator[User]":
    """A user who has opened the page, in a NiceGUI that begins anew and leaves nothing behind."""
    from nicegui.testing import user_simulation

    from page.frame import show_frame

    with Documents(settings) as documents:
        desk = Desk(settings, documents, Loader())  # type: ignore[arg-type]

        async def root() -> None:
            await show_frame(desk, None, view)

        async with user_simulation(root) as user:
            user.http_client.headers["accept-language"] = languages
            await user.open("/")
            yield user
        desk.close()


@pytest.fixture
async def visit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Visit]:
    """Give what opens a view of the page."""
    need("nicegui")
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NICEGUI_STORAGE_PATH", str(tmp_path / "nicegui"))
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as stack:

        async def opened(view: str, languages: str = "en", **flags: Any) -> "User":
            settings = load_settings(embedder="no-such-model", reranker="none", **flags)
            return await stack.enter_async_context(simulated(settings, view, languages))

        yield opened


async def sees(user: "User", *texts: str) -> None:
    for text in texts:
        await user.should_see(text, retries=WAIT)


def named(user: "User", label: str) -> Any:
    """Return the one button that a screen reader calls so."""
    from nicegui import ui

    (found,) = [one for one in user.find(ui.button).elements if one.props.get("aria-label") == label]
    return found


def worded(user: "User", text: str) -> Any:
    """Return the one button with just these words on it."""
    from nicegui import ui

    (found,) = [one for one in user.find(ui.button).elements if one.text == text]
    return found


def press(user: "User", label: str) -> None:
    """Press that button."""
    pressed(user, named(user, label))


def pressed(user: "User", element: Any) -> None:
    """Press an element; `find` knows them by the words on them, and tells neither of two alike apart."""
    from nicegui.testing.user_interaction import UserInteraction

    UserInteraction(user, {element}, None).click()


def field(user: "User", key: str) -> Any:
    """Return the board's field of a key."""
    from nicegui import ui

    (found,) = [one for one in user.find(ui.input).elements if f"lo-key-{key}" in one.classes]
    return found


# Documents


async def test_folders_and_what_was_skipped_and_why_are_shown(visit: Visit, tmp_path: Path) -> None:
    from nicegui import ui

    papers = tmp_path / "papers"
    papers.mkdir()
    (papers / "leave.md").write_text("Five days carry over.", "utf-8")
    (papers / "<b>broken<b>.pdf").write_bytes(b"%PDF-1.7 broken")
    remember(papers)
    user = await visit("documents", kb=str(tmp_path / "home" / "library"))
    await sees(user, "Look for changes")
    user.find("Look for changes").click()
    await sees(user, "1 added, 0 updated, 0 removed, 1 skipped", "1 files, 1 passages, 1 skipped", str(papers))
    await sees(user, "Skipped (1)", "Files (1)")
    rows = [row for table in user.find(ui.table).elements for row in table.rows]
    (why,) = [row["what"] for row in rows if "broken" in row["file"]]
    assert "PDF" in why and ("papers/leave.md", "markdown") in [(row["file"], row["what"]) for row in rows], rows
    press(user, f"Take {papers} out of the library")
    await sees(user, "The folder itself is not touched.")
    pressed(user, worded(user, "Delete"))
    await sees(user, "No folders yet.", "0 files, 0 passages, 0 skipped")
    assert (papers / "leave.md").is_file()


async def test_a_folder_that_is_not_there_is_refused_in_a_sentence(visit: Visit, tmp_path: Path) -> None:
    user = await visit("documents", kb=str(tmp_path / "home" / "library"))
    await sees(user, "No folders yet.")
    user.find("Path of a folder on this machine").type(str(tmp_path / "none"))
    user.find("Add a folder").click()
    await sees(user, f"{str(tmp_path / 'none')!r}")


async def test_documents_that_were_named_at_the_start_cannot_be_changed(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "named").mkdir()
    user = await visit("documents", kb=str(tmp_path / "named"))
    await sees(user, "These documents were named at the start")
    await user.should_not_see("Add a folder")


# Models


async def test_models_say_what_fits_and_adapters_what_they_are_made_for(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "charts"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "tiny"}', "utf-8")
    user = await visit("models")
    await sees(user, "tiny (none), no adapter", "Qwen/Qwen3-VL-8B-Instruct", "fits", "LORA, made for tiny", "charts")
    assert named(user, "Download Qwen/Qwen3-VL-2B-Instruct").enabled and named(user, "Let tiny answer").enabled


# Training


@pytest.mark.parametrize(
    ("key", "value"), [("learning_rate", "-1"), ("lora_rank", "0"), ("val_size", "1.5"), ("max_steps", "0")]
)
async def test_a_wrong_value_is_refused_on_the_board_as_on_the_command_line(
    visit: Visit, tmp_path: Path, key: str, value: str
) -> None:
    (tmp_path / "by_hand.yaml").write_text(f"{key}: {value}\n", "utf-8")
    with pytest.raises(FinetuneError) as refused:
        load_config(tmp_path / "by_hand.yaml")
    user = await visit("school")
    await sees(user, "Train an adapter")
    field(user, "dataset").value = "rows.jsonl"
    field(user, key).value = value
    pressed(user, worded(user, "Train"))
    await sees(user, str(refused.value))
    assert not (tmp_path / "runs").exists(), "nothing is written, and nothing is begun"


async def test_the_rows_of_the_form_are_shown_with_what_is_broken(visit: Visit, tmp_path: Path) -> None:
    from nicegui import ui

    rows: list[dict[str, Any]] = [{"instruction": f"{n}?", "output": str(n)} for n in range(4)]
    rows.append({"instruction": "<image>And?", "output": "x", "images": ["no.png"]})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    user = await visit("school")
    await sees(user, "Train an adapter")
    field(user, "dataset").value, field(user, "val_size").value = "rows.jsonl", "1"
    user.find("Look at the data").click()
    await sees(user, "4 of 5 rows can be used, 1 are held back", "Left out (1)", "no.png", "lorgnette finetune train")
    assert any("<mark" in one.content for one in user.find(ui.html).elements), "what is learned is marked"
    assert (tmp_path / "runs" / "charts-lora.yaml").is_file()


# Conversations


@pytest.fixture
def talked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Two conversations; gives what the ones that are left are called."""
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "documents").mkdir()
    settings = load_settings(effort="quick")

    def names() -> list[str]:
        archive = open_archive(settings)
        assert archive is not None
        found = [info.title or info.first_question for info in archive.sessions.infos()]
        archive.sessions.close()
        return found

    archive = open_archive(settings)
    assert archive is not None
    chat = GenericFakeChatModel(messages=iter([AIMessage("Red."), AIMessage("Blue.")]))
    agent = Agent(chat, ModelIdentity("fake", None, "none"), settings, None, archive)
    from PIL import Image

    Image.new("RGB", (40, 40), "grey").save(tmp_path / "grey.png")
    agent.ask("What is <b>first</b>?", ["grey.png"], session_id="one")
    agent.ask("What is second?", ["grey.png"], session_id="two")
    archive.sessions.close()
    return names


async def test_a_conversation_is_opened_named_and_deleted(visit: Visit, talked: Callable[[], list[str]]) -> None:
    from nicegui import ui

    user = await visit("chat")
    await sees(user, "What is <b>first</b>?", "What is second?")
    press(user, "What is second?")
    await sees(user, "Blue.")
    press_item(user, "Rename", 0)
    await user.should_see(ui.dialog, retries=WAIT)
    await named_in_dialog(user, "Blue things")
    assert talked() == ["Blue things", "What is <b>first</b>?"]
    press_item(user, "Delete", 1)
    await sees(user, "Delete this conversation?")
    pressed(user, worded(user, "Delete"))
    await user.should_not_see("What is <b>first</b>?", retries=WAIT)
    assert talked() == ["Blue things"]


async def test_a_list_that_is_drawn_anew_leaves_the_question_about_one_of_its_rows(
    visit: Visit, talked: Callable[[], list[str]]
) -> None:
    from nicegui import ui

    user = await visit("chat")
    await sees(user, "What is second?")
    press_item(user, "Rename", 0)
    await user.should_see(ui.dialog, retries=WAIT)
    press(user, "What is second?")  # opens it, and marks it in the list
    await sees(user, "Blue.")
    await named_in_dialog(user, "Blue things")
    assert talked() == ["Blue things", "What is <b>first</b>?"]


async def named_in_dialog(user: "User", name: str) -> None:
    """Fill in the open question for a conversation's name, and wait until the list shows it."""
    from nicegui import ui

    (field,) = [one for one in user.find(ui.input).elements if one.props.get("label") == "Name"]
    field.value = name
    pressed(user, worded(user, "Save"))
    with user.scope(kind=ui.left_drawer):
        await sees(user, name)


def press_item(user: "User", text: str, row: int) -> None:
    """Choose from the menu of a conversation, the latest of which is row 0."""
    from nicegui import ui

    items = [one for one in user.find(ui.menu_item).elements if f"text={text}]" in str(one)]
    pressed(user, sorted(items, key=lambda one: one.id)[row])


# Language


async def test_a_chinese_browser_sees_chinese_words_in_every_view(visit: Visit, tmp_path: Path) -> None:
    from nicegui import ui

    user = await visit("documents", "zh-CN,zh;q=0.9,en;q=0.8", kb=str(tmp_path / "home" / "library"))
    await sees(user, "还没有文件夹。", "添加文件夹", "新会话", "还没有会话。")
    for tab, words in (("模型", "正在使用"), ("训练", "开始训练"), ("对话", "把图片拖到这里提问")):
        user.find(kind=ui.tab, content=tab).click()
        await sees(user, words)
    assert named(user, "以英文显示页面").text == "English"
