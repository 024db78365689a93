"""Rates with a clock that stands still, and places that are counted."""

import pytest

from mcp_server.state.limits import KEPT_CLIENTS, Places, RateLimit
from model.worker import CLIENTS, ModelBusy


def test_a_client_that_used_up_its_minute_waits_until_one_call_is_earned() -> None:
    now = [0.0]
    rate = RateLimit(30, lambda: now[0])
    assert [rate.wait_s("a") for _ in range(30)] == [0.0] * 30
    assert rate.wait_s("a") == 2.0
    now[0] = 1.0
    assert rate.wait_s("a") == 1.0
    now[0] = 2.0
    assert rate.wait_s("a") == 0.0
    assert rate.wait_s("a") == 2.0


def test_a_client_that_rests_never_earns_more_than_a_minute() -> None:
    now = [0.0]
    rate = RateLimit(2, lambda: now[0])
    rate.wait_s("a")
    now[0] = 10_000.0
    assert [rate.wait_s("a") for _ in range(3)] == [0.0, 0.0, 30.0]


def test_clients_do_not_share_a_rate() -> None:
    rate = RateLimit(1, lambda: 0.0)
    assert [rate.wait_s("a"), rate.wait_s("a"), rate.wait_s("b")] == [0.0, 60.0, 0.0]


def test_no_rate_is_no_limit() -> None:
    rate = RateLimit(0, lambda: 0.0)
    assert not any(rate.wait_s("a") for _ in range(1000))


def test_names_of_clients_do_not_fill_the_memory() -> None:
    rate = RateLimit(1, lambda: 0.0)
    for number in range(KEPT_CLIENTS + 1):
        rate.wait_s(str(number))
    assert rate.wait_s(str(KEPT_CLIENTS)) > 0
    assert rate.wait_s("0") == 0.0  # forgotten


def test_a_client_has_a_place_for_its_question_and_some_that_wait() -> None:
    places = Places(2)
    for _ in range(3):
        places.take("a")
    with pytest.raises(ModelBusy, match="2 questions wait already"):
        places.take("a")
    places.take("b")
    places.give_back("a")
    places.take("a")


def test_many_clients_together_have_a_limit_too() -> None:
    places = Places(1)
    for number in range(CLIENTS + 1):
        places.take(str(number))
    with pytest.raises(ModelBusy, match=f"{CLIENTS} questions wait already"):
        places.take("one more")
