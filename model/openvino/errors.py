"""What can go wrong with OpenVINO that does not with the other engines."""

from model.errors import ModelError


class EngineOptionRefused(ModelError):
    """A setting that this engine does not have."""

    def __init__(self, option: str, value: object, instead: str) -> None:
        super().__init__(f"A model converted for OpenVINO does not take {option} {value!r}; {instead}.")
        self.option = option
        self.value = value


class EngineBroken(ModelError):
    """OpenVINO refuses the model, or gave up while it answered."""

    def __init__(self, doing: str, reason: str, fix: str) -> None:
        super().__init__(f"OpenVINO could not {doing}: {reason}; {fix}.")
        self.reason = reason


class PromptTooLong(ModelError):
    """Prompt and answer do not fit the model's window, or the memory that they may have."""

    def __init__(self, prompt_tokens: int, limit: int, max_new_tokens: int) -> None:
        super().__init__(
            f"The prompt has {prompt_tokens} tokens and at most {limit} fit beside an answer of {max_new_tokens}; "
            "give fewer or smaller pictures, less text, a lower max_pixels or max_new_tokens, or a higher "
            "prefix_cache_mib."
        )
        self.prompt_tokens = prompt_tokens
        self.limit = limit
