"""The first layer of the vision tower as one product of matrices: same weights, same bits, faster than Conv3d."""

from typing import Any

import torch
from torch import nn


class _AsMatrix:
    """Over transformers' own class: the patches do not overlap, so that the convolution is a product."""

    proj: Any

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return (patches, hidden) for (patches, channels x frames x height x width)."""
        if type(self.proj) is not nn.Conv3d or hasattr(self.proj, "_hf_hook"):  # an adapter, or weights on a disk
            embedded: torch.Tensor = super().forward(hidden_states)  # type: ignore[misc]
            return embedded
        matrix = self.proj.weight.flatten(1)
        return nn.functional.linear(hidden_states.view(-1, matrix.shape[1]).to(matrix.dtype), matrix, self.proj.bias)


def embed_by_matrix(model: Any) -> None:
    """Make the patch embedding of a model such a layer; parameters keep their names and shapes."""
    embedding = model.model.visual.patch_embed
    proj = getattr(embedding, "proj", None)  # None where transformers' own fusion was there first
    if isinstance(proj, nn.Conv3d) and proj.stride == proj.kernel_size and proj.padding == (0, 0, 0):
        kind = type(embedding)
        embedding.__class__ = type(kind.__name__, (_AsMatrix, kind), {})
