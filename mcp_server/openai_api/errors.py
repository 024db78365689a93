"""Why the endpoint refuses a request."""

from common.errors import LorgnetteError

MIB = 2**20


class ModelUnknown(LorgnetteError):
    """Another model is asked for."""

    def __init__(self, model: str, known: str) -> None:
        self.model = model
        super().__init__(f"There is no model {model!r} here; ask for {known!r}.")


class RouteUnknown(LorgnetteError):
    """Something else is asked for than is served."""

    def __init__(self, method: str, path: str) -> None:
        self.path = path
        super().__init__(
            f"{method} {path[:200]} is not served here; there are GET /v1/models, POST /v1/chat/completions "
            "and POST /v1/responses."
        )


class BodyTooLarge(LorgnetteError):
    """The request has too many bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"The request has more than {limit // MIB} MiB; send fewer or smaller pictures.")


class NoModelHere(LorgnetteError):
    """The agent of this server has no model that can be asked for itself."""

    def __init__(self) -> None:
        super().__init__("This server has no model of its own; ask its tools.")


class LoadingFailed(LorgnetteError):
    """The model could not be loaded; it is tried again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
