"""Preference training: pairs of a better and a worse answer, and DPO on them through TRL."""
