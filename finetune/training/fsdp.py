"""FSDP: what it cannot do is refused before the training, and it shards on processors, too.

torch shards over gloo; accelerate would train whole copies there without saying so. Knows no model.
"""

import os

from finetune.errors import FinetuneError


class QuantizedSharding(FinetuneError):
    """A base of 4 or 8 bits under FSDP."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(
            f"FSDP cannot share out a base of {bits} bits; leave quantization_bit out, or launch without FSDP."
        )


class OldSharding(FinetuneError):
    """FSDP of the first kind, which flattens frozen and trained parameters into one."""

    def __init__(self, version: str) -> None:
        self.version = version
        super().__init__(f"FSDP {version} cannot train adapters; launch with --fsdp_version 2.")


class WholeSharding(FinetuneError):
    """The model itself under FSDP."""

    def __init__(self) -> None:
        super().__init__("FSDP trains adapters alone here; write finetuning_type: lora, or launch without FSDP.")


class AnswersSharded(FinetuneError):
    """Answers to held-back rows meanwhile, under FSDP."""

    def __init__(self) -> None:
        super().__init__(
            "FSDP cannot answer held-back rows meanwhile; write predict_with_generate: false, or launch without FSDP."
        )


class PrincipalSharded(FinetuneError):
    """An adapter of which half stands still, under FSDP, which hands no gradient out whole."""

    def __init__(self) -> None:
        super().__init__("FSDP cannot train with pissa_init; write pissa_init: false, or launch without FSDP.")


def check_fsdp(bits: int | None, *, whole: bool = False, answers: bool = False, principal: bool = False) -> None:
    """Refuse what FSDP cannot do, where `accelerate launch --use_fsdp` asked for it.

    Raises:
        QuantizedSharding: The base is to have 4 or 8 bits.
        OldSharding: It is the first FSDP, accelerate's default.
        WholeSharding: Weights of the model itself are to be trained.
        AnswersSharded: Held-back rows are to be answered.
        PrincipalSharded: The adapter begins with the weights' strongest directions.
    """
    from accelerate.utils import parse_flag_from_env

    if not parse_flag_from_env("ACCELERATE_USE_FSDP"):
        return
    if whole:
        raise WholeSharding
    if answers:
        raise AnswersSharded
    if principal:
        raise PrincipalSharded
    if bits is not None:
        raise QuantizedSharding(bits)
    if (version := os.environ.get("FSDP_VERSION", "1")) != "2":
        raise OldSharding(version)


def shard_on_cpus() -> None:
    """Let the next `Accelerator` share the model out where FSDP was asked for and the processes use CPUs.

    accelerate 1.15 (`AcceleratorState.__init__`) looks at ACCELERATE_USE_FSDP only where it found accelerators; several
    CPU processes become DDP. What it is told here decides that and nothing else: the device stays the CPU.
    """
    from accelerate import PartialState
    from accelerate.utils import DistributedType, parse_flag_from_env

    if parse_flag_from_env("ACCELERATE_USE_FSDP") and PartialState().distributed_type is DistributedType.MULTI_CPU:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
