"""How a Qwen3-VL comes from its folder into memory, and what is made faster on the way."""
