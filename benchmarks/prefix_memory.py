"""The shared prefix's memory over many pictures, held against its limit, beside the process's own.

`python -m benchmarks.prefix_memory [--pictures 100] [--limit 4]` asks the bundled checkpoint two questions about each
picture, with a limit (in MiB) that a few of them fill.
"""

import argparse
from typing import Any

from benchmarks.report import publish
from benchmarks.shared_prefix import noise


def main() -> None:
    """Ask, note, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--limit", type=int, default=4, help="MiB")
    options = parser.parse_args()
    rows = measure(options.pictures, options.limit)
    publish("prefix_memory", f"Prefix cache over {options.pictures} pictures, limit {options.limit} MiB", rows)
    assert all(row["held MiB"] <= options.limit for row in rows), "the limit did not hold"


def measure(pictures: int, limit: int) -> list[dict[str, Any]]:
    """Return a row for every tenth of the pictures."""
    import psutil
    from langchain_core.messages import HumanMessage, SystemMessage

    from graph.prompts import SYSTEM
    from model.pictures.picture import Picture
    from model.qwen3_vl.chat import ChatQwen3VL
    from model.qwen3_vl.load import load
    from model.settings import ModelSettings

    chat = ChatQwen3VL(loaded=load(ModelSettings(model="tiny")), max_new_tokens=8, prefix_cache_mib=limit)
    rows, most, cached, read = [], 0, 0, 0
    for number in range(1, pictures + 1):
        image = {"type": "image", "image": Picture("noise", None, noise((320, 240), number), "")}
        for text in ("How many objects are there?", "What color is the largest one?"):
            reply = chat.invoke([SystemMessage(SYSTEM), HumanMessage([image, {"type": "text", "text": text}])])
            usage = reply.usage_metadata
            assert usage is not None, "the local model reports its usage"
            cached += usage["input_token_details"]["cache_read"]
            read += usage["input_tokens"]
            reader = chat._reader
            assert reader is not None, "it has read a prompt"
            most = max(most, reader.prefixes.bytes + int(reader.features.currsize))
        if number % max(1, pictures // 10) == 0:
            rows.append({
                "pictures": number,
                "held MiB": most / 2**20,
                "process MiB": psutil.Process().memory_info().rss / 2**20,
                "prompt tokens from the cache %": 100 * cached / read,
            })  # fmt: skip
    chat.close()
    return rows


if __name__ == "__main__":
    main()
