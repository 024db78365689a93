"""The README.md of an adapter's folder: a card for a hub. It names the base by its hub name, and never a local path."""

from pathlib import Path

from finetune.config.schema import FinetuneConfig
from model.hub import HUB_ID

CARD = "README.md"


def write_card(folder: Path, config: FinetuneConfig) -> None:
    """Write the card in place of PEFT's, which names whatever folder the base was read from."""
    name, kind = config.model.model_name_or_path, config.adapter.finetuning_type
    base = name if HUB_ID.fullmatch(name) and not Path(name).expanduser().exists() else None
    head = ["---", *([f"base_model: {base}"] if base else []), "library_name: peft", f"tags: [{kind}]", "---"]
    named = f" of {base}" if base else ""
    text = [
        f"An adapter ({kind}){named}, trained with Lorgnette.",
        "",
        "    lorgnette ask QUESTION PICTURE" + (f" --model {base}" if base else "") + " --adapter FOLDER",
    ]
    (folder / CARD).write_text("\n".join([*head, *text]) + "\n", "utf-8")
