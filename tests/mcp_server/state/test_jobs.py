"""Questions that take longer than a call may: the handle, the answer, the end."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import anyio
import jsonschema
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import TextResourceContents

from graph.answer import Answer
from graph.question import Question
from graph.served_agent import ServedAgent
from lorgnette.answer_text import AskResult
from lorgnette.settings import Settings
from mcp_server.app import build_server
from mcp_server.state import jobs as jobs_module
from mcp_server.state.jobs import JobMissing, Jobs
from model.errors import ModelError
from tests.mcp_server.conftest import text_of

pytestmark = pytest.mark.anyio


def opens(agent: Any) -> Callable[..., Any]:
    return lambda _settings, _progress: agent


@pytest.fixture
def hurried(settings: Settings) -> Settings:
    return settings.model_copy(update={"jobs": True, "time_budget_s": 0.2})


async def begun(client: Any) -> str:
    result = await client.call_tool("ask_image", {"question": "Which?", "session_id": "s-7"})
    assert not result.is_error, text_of(result)
    return str(result.structured_content["job_id"])


async def test_an_answer_in_time_is_no_job(settings: Settings, answer: Answer, fake_agent: Any) -> None:
    patient = settings.model_copy(update={"jobs": True})
    async with Client(build_server(patient, opens(fake_agent(answer)))) as client:
        result = await client.call_tool("ask_image", {"question": "Which?"})
    assert Answer.model_validate(result.structured_content) == answer


async def test_a_question_beyond_its_time_goes_on_as_a_job_whose_answer_can_be_had(
    hurried: Settings, answer: Answer, fake_agent: Any
) -> None:
    agent = fake_agent(answer)
    agent.hold = threading.Event()
    async with Client(build_server(hurried, opens(agent))) as client:
        schemas = {tool.name: tool.output_schema or {} for tool in (await client.list_tools()).tools}
        unfinished = await client.call_tool("ask_image", {"question": "Which?", "session_id": "s-7"})
        job_id = unfinished.structured_content["job_id"]
        assert await anyio.to_thread.run_sync(agent.started.wait, 300)  # its first words may come after its time
        still = await client.call_tool("get_job", {"job_id": job_id, "wait_s": 0})
        agent.hold.set()
        done = await client.call_tool("get_job", {"job_id": job_id})
    jsonschema.validate(unfinished.structured_content, schemas["ask_image"])
    assert schemas["ask_image"]["additionalProperties"] is schemas["get_job"]["additionalProperties"] is False
    assert "The work goes on: call get_job with job_id" in text_of(unfinished) and job_id in text_of(unfinished)
    assert unfinished.structured_content["truncated"] and unfinished.structured_content["session_id"] == "s-7"
    jsonschema.validate(still.structured_content, schemas["get_job"])
    assert (still.structured_content["state"], still.structured_content["answer"]) == ("running", None)
    assert still.structured_content["progress"] == "answering, 5 characters"
    assert "not finished" in text_of(still) and "answering, 5 characters" in text_of(still)
    jsonschema.validate(done.structured_content, schemas["get_job"])
    assert done.structured_content["state"] == "done"
    assert Answer.model_validate(done.structured_content["answer"]) == answer
    assert text_of(done).startswith("Three circles [1].") and "Verdict: PASS" in text_of(done)


async def test_the_call_that_began_a_job_is_no_part_of_it(hurried: Settings, answer: Answer, fake_agent: Any) -> None:
    agent = fake_agent(answer, wait_for_cancel=True)
    async with Client(build_server(hurried, opens(agent))) as client:
        await begun(client)
        assert not agent.cancelled.is_set()
    assert await anyio.to_thread.run_sync(agent.cancelled.wait, 300)  # the server's end is the job's


async def test_a_model_that_loads_for_longer_than_a_call_becomes_a_job_too(
    hurried: Settings, answer: Answer, fake_agent: Any
) -> None:
    release = threading.Event()

    def open_agent(_settings: Settings, progress: Callable[[str, float], None]) -> Any:
        progress("weights", 0.25)
        assert release.wait(300)
        return fake_agent(answer)

    async with Client(build_server(hurried, open_agent)) as client:
        job_id = await begun(client)
        still = await client.call_tool("get_job", {"job_id": job_id, "wait_s": 0})
        release.set()
        while (done := await client.call_tool("get_job", {"job_id": job_id})).structured_content["state"] == "running":
            pass
    assert still.structured_content["progress"] == "loading tiny: weights 25%"
    assert done.structured_content["state"] == "done"


async def test_a_job_has_a_limit_of_its_own(hurried: Settings, answer: Answer) -> None:
    budgets = []

    class Told(ServedAgent):
        def answer(self, question: Question, **_: Any) -> Answer:
            assert question.time_budget_s is not None
            budgets.append(question.time_budget_s)
            return answer

    for jobs in (True, False):
        given = hurried.model_copy(update={"jobs": jobs, "job_limit_s": 7000.0, "time_budget_s": 4000.0})
        async with Client(build_server(given, opens(Told()))) as client:
            await client.call_tool("ask_image", {"question": "Which?"})
    assert 6000 < budgets[0] <= 7000 and 3000 < budgets[1] <= 4000


async def test_a_cancelled_job_stops_its_work(hurried: Settings, answer: Answer, fake_agent: Any) -> None:
    agent = fake_agent(answer, wait_for_cancel=True)
    async with Client(build_server(hurried, opens(agent))) as client:
        job_id = await begun(client)
        result = await client.call_tool("get_job", {"job_id": job_id, "cancel": True})
        assert await anyio.to_thread.run_sync(agent.cancelled.wait, 300)
        again = await client.call_tool("get_job", {"job_id": job_id})
    assert result.structured_content["state"] == again.structured_content["state"] == "cancelled"
    assert "was cancelled" in text_of(again)


async def test_a_job_that_failed_says_why(hurried: Settings, answer: Answer, fake_agent: Any) -> None:
    agent = fake_agent(answer, ModelError("The lens broke; get another."))
    agent.hold = threading.Event()
    async with Client(build_server(hurried, opens(agent))) as client:
        job_id = await begun(client)
        agent.hold.set()
        result = await client.call_tool("get_job", {"job_id": job_id})
        (content,) = (await client.read_resource(f"lorgnette://job/{job_id}")).contents
    assert isinstance(content, TextResourceContents)
    read = json.loads(content.text)
    assert result.is_error
    assert text_of(result).endswith("The lens broke; get another.")
    assert (read["state"], read["answer"]) == ("failed", None)


async def test_a_job_is_a_resource_too(hurried: Settings, answer: Answer, fake_agent: Any) -> None:
    agent = fake_agent(answer)
    agent.hold = threading.Event()
    async with Client(build_server(hurried, opens(agent))) as client:
        job_id = await begun(client)
        agent.hold.set()
        await client.call_tool("get_job", {"job_id": job_id})
        content = (await client.read_resource(f"lorgnette://job/{job_id}")).contents[0]
        with pytest.raises(MCPError, match="There is no job 'x'") as caught:
            await client.read_resource("lorgnette://job/x")
    assert content.mime_type == "application/json"
    assert isinstance(content, TextResourceContents)
    assert AskResult.model_validate(json.loads(content.text)["answer"]).answer == answer.answer
    assert caught.value.code == -32602


async def test_an_unknown_job_is_told_what_to_do(hurried: Settings) -> None:
    async with Client(build_server(hurried, opens(None))) as client:
        result = await client.call_tool("get_job", {"job_id": "0b8e0b5e-6a51-4b9e-a20a-93b7f0a5b1a1"})
    assert result.is_error
    assert "There is no job '0b8e0b5e-6a51-4b9e-a20a-93b7f0a5b1a1'; answers are kept for 60 minutes" in text_of(result)
    assert text_of(result).endswith("Ask the question again.")


async def test_a_job_keeps_its_place_in_the_queue(hurried: Settings, answer: Answer, fake_agent: Any) -> None:
    agent = fake_agent(answer, wait_for_cancel=True)
    async with Client(build_server(hurried.model_copy(update={"queue_size": 1}), opens(agent))) as client:
        first, _ = await begun(client), await begun(client)
        busy = await client.call_tool("ask_image", {"question": "Which?"})
        await client.call_tool("get_job", {"job_id": first, "cancel": True})
        await begun(client)
    assert busy.is_error and "busy" in text_of(busy)


async def test_answers_are_kept_for_a_bounded_time_and_number(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "MAX_FINISHED", 2)
    now = [0.0]
    jobs = Jobs(lambda: now[0])

    async def work() -> AskResult:
        return AskResult(**dict(answer))

    running = asyncio.Event()
    pending = jobs.add(asyncio.ensure_future(_until(running, work)), 0.0, lambda: "answering")
    ended = []
    for _ in range(3):
        job = jobs.add(asyncio.ensure_future(work()), 0.0, lambda: "answering")
        await job.wait(300)
        ended.append(job)
    with pytest.raises(JobMissing):
        jobs.get(ended[0].id)
    assert [jobs.get(job.id).state for job in ended[1:]] == ["done", "done"]
    now[0] = jobs_module.KEEP_S + 1
    for job in ended:
        with pytest.raises(JobMissing):
            jobs.get(job.id)
    assert jobs.get(pending.id).state == "running"
    await jobs.close()
    assert pending.state == "cancelled"


async def _until(event: Any, work: Any) -> Any:
    await event.wait()
    return await work()
