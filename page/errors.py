"""Why the page cannot be shown or do what was asked of it."""

from typing import ClassVar

from common.errors import CodedError


class PageError(CodedError):
    """The page cannot do it."""

    SENTENCES: ClassVar = {
        "page_missing": "The page needs NiceGUI, which is not installed; run `pip install 'lorgnette[page]'`.",
        "page_folder_named": "The documents are those of {folder!r}, as named at the start; leave out --kb.",
        "page_download_runs": "{model!r} is being downloaded; wait for its end.",
        "page_adapter_refused": "{reason}",
        "page_adapter_fixed": "This model's adapter cannot be changed while it runs; start with --adapter DIR.",
        "page_model_fixed": "A window of its own keeps its model; start again with `lorgnette open --model M`.",
        "page_yaml_broken": "The further keys cannot be read: {reason}; write one `key: value` a line.",
        "page_run_runs": "A training into {folder!r} runs already; stop it first, or name another output_dir.",
        "page_run_failed": "The training could not be started: {reason}; run the command that is shown by hand.",
        "page_run_unknown": "Nobody knows how the run in {folder!r} was begun; resume it by hand.",
        "page_upload_refused": "The file is no picture, PDF or film, or has more than {limit} MiB; give another one.",
        "page_upload_full": "The disk is full, {name!r} could not be kept; make room and try again.",
    }
