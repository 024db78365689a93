"""The eyes: Qwen3-VL as a LangChain chat model."""
