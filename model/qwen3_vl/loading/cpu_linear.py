"""How a CPU multiplies by the model's matrices: in two dimensions, and a single row by the kernel made for it."""

from typing import Any

import torch
from torch import nn


class CpuLinear(nn.Linear):
    """A linear layer with the same parameters and values as `nn.Linear`, on the faster of torch's ways on a CPU.

    Writing an answer multiplies one row by every matrix, which is bound by reading the matrix. For bfloat16 torch's
    `linear` takes oneDNN's product of two matrices, which reads it at two thirds of the speed of `mv`; both sum in
    float32, so that they differ in the last bit of one value in some thousands.

    `generate` gives the head the last token of each row as a slice (B, 1, W), whose strides torch does not fold where
    the weight is frozen: it would copy the whole head (151,936 x 2,048) for one product. Two dimensions avoid that.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return (..., out_features)."""
        rows = input.reshape(-1, self.in_features)
        if len(rows) == 1 and rows.dtype == torch.bfloat16 == self.weight.dtype:
            product = torch.mv(self.weight, rows[0])
            product = product if self.bias is None else product + self.bias
        else:
            product = nn.functional.linear(rows, self.weight, self.bias)
        return product.reshape(*input.shape[:-1], self.out_features)


def multiply_on_cpu(model: nn.Module) -> Any:
    """Make every plain linear layer of the model a `CpuLinear`; quantised ones and an adapter's stay what they are."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = CpuLinear
