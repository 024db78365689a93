"""The local Qwen3-VL: loading, prefill and its cache, generation, grammar."""
