"""Engines beside the embedded one that can keep the dense index; nothing here is imported before it is asked for."""
