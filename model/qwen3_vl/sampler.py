"""Which token comes next where not simply the likeliest does: penalties, temperature, top-k, top-p. Shapes: V tokens.

The order is that of transformers and vLLM: penalties on the bare scores, then temperature, top-k, top-p, then the draw.
"""

import torch
from transformers import LogitsProcessor

from model.call_options import Call


def sampler_for(call: Call, device: torch.device) -> "Sampler | None":
    """Return the call's sampler; None if the likeliest token is wanted as it is."""
    plain = call.temperature == 0 and call.repetition_penalty == 1 and call.presence_penalty == 0
    return None if plain else Sampler(call, device)


class Sampler(LogitsProcessor):
    """Samples by the Gumbel trick: the greatest of the scores plus this noise is a draw from their softmax.

    `generate` then runs greedily, so that the draw comes from a generator of its own: its `do_sample` would take
    torch's global one, which other threads use and which no seed of ours may touch.
    """

    def __init__(self, call: Call, device: torch.device) -> None:
        self._call = call
        self.prompt_tokens = 0
        """How many of the tokens are the prompt's: `presence_penalty` counts the answer's alone."""
        self._generator = torch.Generator(device=device)
        if call.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(call.seed)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (1, V) whose greatest is the token that comes next."""
        return self.noisy(self._penalised(input_ids, scores))

    def noisy(self, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (1, V) whose greatest is the sampled token."""
        if self._call.temperature == 0:
            return scores
        scores = scores.float() / self._call.temperature
        if 0 < self._call.top_k < scores.shape[-1]:
            least = scores.topk(self._call.top_k).values[..., -1:]
            scores = scores.masked_fill(scores < least, -torch.inf)
        if self._call.top_p < 1:
            ordered, order = scores.sort(descending=True)
            share = ordered.softmax(-1)
            outside = share.cumsum(-1) - share >= self._call.top_p  # never the first
            scores = scores.masked_fill(outside.scatter(-1, order, outside), -torch.inf)
        noise = torch.empty_like(scores).exponential_(generator=self._generator)
        return scores - noise.clamp_min(torch.finfo(noise.dtype).tiny).log()

    def _penalised(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Make tokens less likely that were there: all as in CTRL (Keskar et al. 2019), the answer's by a step."""
        if self._call.repetition_penalty != 1:
            there = scores.gather(-1, input_ids)
            penalty = self._call.repetition_penalty
            scores = scores.scatter(-1, input_ids, torch.where(there < 0, there * penalty, there / penalty))
        answer = input_ids[:, self.prompt_tokens :]
        if self._call.presence_penalty != 0 and answer.shape[-1]:
            scores = scores.scatter(-1, answer, scores.gather(-1, answer) - self._call.presence_penalty)
        return scores
