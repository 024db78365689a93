import pytest
from pydantic import ValidationError

from retrieval.settings import RetrievalSettings
from retrieval.store import parse_store, without_password


@pytest.mark.parametrize(
    ("url", "engine"),
    [
        ("chroma", "chroma"),
        ("chroma+http://localhost:8000", "chroma-server"),
        ("chroma+https://me:pw@kb.example", "chroma-server"),
        ("milvus:///data/notes.db", "milvus"),
        ("milvus+http://localhost:19530", "milvus"),
        ("postgresql://me@server/notes", "postgres"),
        ("postgresql:///notes?host=/run/postgresql", "postgres"),
    ],
)
def test_the_address_names_the_engine(url: str, engine: str) -> None:
    assert parse_store(url).engine == engine
    assert RetrievalSettings(store=url).store == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://host/x", "there is no engine 'mysql'; give chroma, "),
        ("milvus", "an address is needed; give chroma, "),
        ("", "an address is needed"),
        ("milvus://notes.db", "whole path"),
        ("milvus:///data/notes", "ends with .db"),
        ("chroma+http://", "where it is, is missing"),
    ],
)
def test_what_is_no_engine_is_refused_with_the_forms_that_are(url: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        RetrievalSettings(store=url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:geheim@h:5432/d", "postgresql://me:***@h:5432/d"),
        ("postgresql://me:ge/he@im@h/d", "postgresql://me:***@h/d"),
        ("postgresql://me@h/d?password=geheim&sslmode=require", "postgresql://me@h/d?password=***&sslmode=require"),
        ("postgres:///d?sslmode=require&token=geheim", "postgres:///d?sslmode=require&token=***"),
        ("milvus+http://h:19530", "milvus+http://h:19530"),
        ("no address at all", "no address at all"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_an_engines_message_loses_the_password_in_either_spelling() -> None:
    store = parse_store("postgresql://me:ge%40heim@h/d")
    message = "cannot read postgresql://me:ge%40heim@h/d\n\tpassword ge@heim refused"
    assert store.scrubbed(message) == "cannot read postgresql://me:***@h/d password *** refused"
    assert "heim" not in repr(store) + store.shown
    assert "heim" not in repr(RetrievalSettings(store=store.url))
