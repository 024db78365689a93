"""Which engine keeps the vectors, read from the setting `store`. It opens none, and shows no password."""

import re
from dataclasses import dataclass, field
from typing import Literal

Engine = Literal["chroma", "chroma-server", "milvus", "postgres"]

_SCHEMES: dict[str, Engine] = {
    "chroma+http": "chroma-server",
    "chroma+https": "chroma-server",
    "milvus": "milvus",
    "milvus+http": "milvus",
    "milvus+https": "milvus",
    "postgresql": "postgres",
    "postgres": "postgres",
}
FORMS = (
    "chroma, chroma+http://host:8000, milvus:///folder/file.db, milvus+http://host:19530 or "
    "postgresql://user@host/database"
)
# Greedy to the last @, so that a password with signs that belong escaped is covered as a whole.
_LOGIN = re.compile(r"(://[^:/@?#\s]*:)\S*(?=@)")
_PARAMETER = re.compile(r"([?&](?:password|sslpassword|token)=)[^&\s]*")


@dataclass(frozen=True)
class Store:
    """An engine and where it is."""

    engine: Engine
    url: str = field(repr=False)
    """As the user gave it, password and all."""

    @property
    def shown(self) -> str:
        """The address without its password."""
        return without_password(self.url)

    def scrubbed(self, text: str) -> str:
        """Take this store's address and password out of an engine's message."""
        text = text.replace(self.url, self.shown)
        for secret in _secrets(self.url):
            text = text.replace(secret, "***")
        return " ".join(text.split())


EMBEDDED = Store("chroma", "chroma")


def parse_store(text: str) -> Store:
    """Read the setting.

    Raises:
        ValueError: It names no engine that is known, or one without its place.
    """
    if text == EMBEDDED.url:
        return EMBEDDED
    scheme, mark, rest = text.partition("://")
    engine = _SCHEMES.get(scheme.lower())
    if engine is None or not mark:
        known = f"there is no engine {scheme!r}" if mark else "an address is needed"
        raise ValueError(f"{known}; give {FORMS}")
    if scheme.lower() == "milvus" and not (rest.startswith("/") and rest.endswith(".db")):
        raise ValueError("a Milvus file needs its whole path, and a name that ends with .db: milvus:///folder/file.db")
    if not rest.strip("/"):
        raise ValueError(f"where it is, is missing; give {FORMS}")
    return Store(engine, text)


def without_password(text: str) -> str:
    """Return an address, or what was meant to be one, without passwords."""
    return _PARAMETER.sub(r"\1***", _LOGIN.sub(r"\1***", text))


def _secrets(url: str) -> list[str]:
    from urllib.parse import unquote

    found = [match.group()[len(match.group(1)) :] for p in (_LOGIN, _PARAMETER) for match in p.finditer(url)]
    return [secret for raw in found for secret in dict.fromkeys((raw, unquote(raw))) if secret]
