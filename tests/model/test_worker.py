"""The queue in front of the model, with jobs that wait for a switch."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial

import pytest

from model.worker import CLIENTS, ModelBusy, Worker, WorkerClosed, asking


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(queue_size=2)
    yield worker
    worker.close()


def hold(started: threading.Event, gate: threading.Event) -> Callable[[], object]:
    """Make a job that says that it runs and waits at the gate."""

    def job() -> bool:
        started.set()
        return gate.wait()

    return job


def test_jobs_run_one_at_a_time_in_the_order_of_their_arrival(worker: Worker) -> None:
    order: list[int] = []
    gate = threading.Event()

    def one() -> None:
        gate.wait()
        order.append(1)

    first = worker.submit(one)
    second = worker.submit(lambda: order.append(2))
    third = worker.submit(lambda: order.append(3))
    gate.set()
    for future in (first, second, third):
        future.result()
    assert order == [1, 2, 3]


def test_a_full_queue_says_how_many_wait(worker: Worker) -> None:
    gate = threading.Event()
    futures = [worker.submit(gate.wait) for _ in range(3)]  # one runs, two wait
    with pytest.raises(ModelBusy, match="2 questions wait") as caught:
        worker.submit(gate.wait)
    assert caught.value.waiting == 2
    gate.set()
    assert all(future.result() for future in futures)


def test_a_cancelled_job_never_starts_and_frees_its_place(worker: Worker) -> None:
    gate = threading.Event()
    ran: list[str] = []
    running = worker.submit(gate.wait)
    cancelled = worker.submit(lambda: ran.append("cancelled"))
    worker.submit(lambda: ran.append("second"))
    assert cancelled.cancel()
    third = worker.submit(lambda: ran.append("third"))
    gate.set()
    third.result()
    assert running.result()
    assert ran == ["second", "third"]


def test_the_position_in_the_queue_counts_the_job_that_runs(worker: Worker) -> None:
    gate, started = threading.Event(), threading.Event()
    running = worker.submit(hold(started, gate))
    waiting = [worker.submit(gate.wait) for _ in range(2)]
    started.wait()
    assert worker.position(running) == 0
    assert [worker.position(future) for future in waiting] == [1, 2]
    assert worker.waiting == 2
    gate.set()
    waiting[1].result()
    assert worker.position(running) is None


def test_an_exception_reaches_the_caller_and_the_thread_lives_on(worker: Worker) -> None:
    failed = worker.submit(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failed.result()
    assert worker.submit(lambda: "next").result() == "next"


def test_a_closed_worker_cancels_what_waits_and_takes_nothing_more(worker: Worker) -> None:
    gate, started = threading.Event(), threading.Event()
    running = worker.submit(hold(started, gate))
    waiting = worker.submit(gate.wait)
    started.wait()
    worker.close()
    assert waiting.cancelled()
    with pytest.raises(WorkerClosed):
        worker.submit(gate.wait)
    gate.set()
    running.result()


def test_a_finished_job_is_not_kept_alive(worker: Worker) -> None:
    import gc
    import weakref

    class Big:
        pass

    big = Big()
    gone = weakref.ref(big)
    worker.submit(partial(id, big)).result()
    worker.submit(lambda: None).result()  # the thread has come back to the queue
    del big
    gc.collect()
    assert gone() is None


def ask_as(client: str, worker: Worker, work: Callable[[], object]) -> "Future[object]":
    context = copy_context()
    context.run(asking.set, client)
    return context.run(worker.submit, work)


def test_clients_take_turns_so_that_many_questions_of_one_delay_another_by_one() -> None:
    worker, gate, started = Worker(queue_size=3), threading.Event(), threading.Event()
    order: list[str] = []
    worker.submit(hold(started, gate))
    started.wait()
    many = [ask_as("many", worker, partial(order.append, f"many {n}")) for n in range(3)]
    late = [ask_as("late", worker, partial(order.append, f"late {n}")) for n in range(2)]
    assert [worker.position(future) for future in (*many, *late)] == [1, 3, 5, 2, 4]
    gate.set()
    for future in (*many, *late):
        future.result()
    worker.close()
    assert order == ["many 0", "late 0", "many 1", "late 1", "many 2"]


def test_a_client_that_fills_its_queue_leaves_room_for_the_others() -> None:
    worker, gate, started = Worker(queue_size=1), threading.Event(), threading.Event()
    running = worker.submit(hold(started, gate))
    started.wait()
    futures = [ask_as("many", worker, gate.wait)]
    with pytest.raises(ModelBusy):
        ask_as("many", worker, gate.wait)
    futures += [ask_as(f"other {n}", worker, gate.wait) for n in range(CLIENTS - 1)]
    with pytest.raises(ModelBusy, match=f"{CLIENTS} questions wait"):
        ask_as("one too many", worker, gate.wait)
    assert futures[0].cancel()
    futures[0] = ask_as("one too many", worker, gate.wait)
    gate.set()
    assert all(future.result() for future in (*futures, running))
    worker.close()
