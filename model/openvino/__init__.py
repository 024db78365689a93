"""Qwen3-VL by OpenVINO GenAI, for processors and graphics of laptops; behind the same chat model as the others."""
