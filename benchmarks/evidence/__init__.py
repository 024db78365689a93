"""Regions of citations against pages whose true boxes are known, and what of a page a model is sent."""
