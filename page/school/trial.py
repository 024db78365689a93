"""Asks a question about one's own picture twice, without and with an adapter, in the running server."""

from collections.abc import AsyncIterator
from pathlib import Path

from graph.answer import Answer
from page.desk import Asked, Desk


async def base_and_adapter(desk: Desk, question: str, picture: Path, adapter: Path) -> AsyncIterator[Answer]:
    """Yield the base's answer and then the adapter's; what the server wore before it wears again afterwards.

    Questions that others ask meanwhile are answered with what is worn just then.

    Raises:
        AdapterError, PageError: The adapter does not fit the model of this server.
        LorgnetteError: The question, or the picture.
    """
    import asyncio

    before = desk.models.loaded().adapter
    asked = Asked(question, (str(picture),), effort="quick", use_documents=False)
    sessions: list[str] = []
    try:
        for worn in (None, adapter):
            await asyncio.to_thread(desk.models.wear, worn)
            async for news in desk.ask(asked, "trial"):
                if isinstance(news, Answer):
                    sessions.append(news.session_id)
                    yield news
    finally:
        await asyncio.to_thread(desk.models.wear, Path(before) if before else None)
        for session in sessions:
            if any(info.id == session for info in desk.sessions()):
                await asyncio.to_thread(desk.delete, session)
