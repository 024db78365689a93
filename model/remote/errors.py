"""What can go wrong with a model behind an address, each error named for what the caller can do.

It knows neither HTTP nor the client library: `model.remote.chat` says which error it is.
"""

from model.errors import ModelError


class RemoteAddressInvalid(ModelError):
    """The address does not say where the model is, or which."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"The address {address!r} {reason}; write it as http://host:port/v1#model-name.")
        self.address = address


class RemoteOptionRefused(ModelError):
    """A setting of the local model was given with an address."""

    def __init__(self, option: str, value: object) -> None:
        super().__init__(
            f"The setting {option} {value!r} is for a local model, but the model is an address; "
            "leave it out and set it where the server is started."
        )
        self.option = option


class RemoteError(ModelError):
    """The server did not answer the question."""

    def __init__(self, address: str, sentence: str) -> None:
        super().__init__(sentence)
        self.address = address


class RemoteUnavailable(RemoteError):
    """Nobody answers at the address, or the connection broke."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            address, f"The server at {address!r} cannot be reached ({reason}); start it or mend the address."
        )


class RemoteBusy(RemoteError):
    """The server has too much to do."""

    def __init__(self, address: str, status: int) -> None:
        super().__init__(address, f"The server at {address!r} is busy (HTTP {status}); try again later.")
        self.status = status


class RemoteTimeout(RemoteError):
    """The server was silent for too long."""

    def __init__(self, address: str, seconds: float) -> None:
        super().__init__(
            address, f"The server at {address!r} was silent for {seconds:.0f} s; try again or raise time_budget_s."
        )


class RemoteRefused(RemoteError):
    """The server wants another key."""

    def __init__(self, address: str, status: int) -> None:
        super().__init__(
            address, f"The server at {address!r} refused the key (HTTP {status}); set LORGNETTE_API_KEY to a valid one."
        )


class RemoteModelNotFound(RemoteError):
    """The server does not have the model, or the path is wrong."""

    def __init__(self, address: str, model: str) -> None:
        super().__init__(
            address,
            f"The server at {address!r} has no model {model!r} (HTTP 404); "
            f"see {address}/models and name one of those after the #.",
        )
        self.model = model


class RemoteFailed(RemoteError):
    """The server reports an error."""

    def __init__(self, address: str, reason: str) -> None:
        shown = " ".join(reason.split())[:300]
        super().__init__(address, f"The server at {address!r} failed ({shown}); see its log, or ask for less.")


class RemoteBrokeOff(RemoteError):
    """The answer ends in the middle."""

    def __init__(self, address: str) -> None:
        super().__init__(address, f"The server at {address!r} broke off in the middle of the answer; ask again.")


class RemoteUnreadable(RemoteError):
    """What came back is no answer of an OpenAI-compatible server."""

    def __init__(self, address: str) -> None:
        super().__init__(
            address,
            f"The server at {address!r} does not speak the OpenAI protocol; check the address, which ends in /v1.",
        )
