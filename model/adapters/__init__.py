"""The adapters that the model wears: the tuner types of our own and the putting on of an adapter's folder.

A tuner type becomes known to PEFT by being imported: every type is imported here, in `register_tuners`, which is
called before any adapter is loaded. Knows no checkpoint and no device.
"""


def register_tuners() -> None:
    """Make PEFT know every tuner type of this package; safe to call again."""
    from model.adapters.moe_lora.peft_type import register

    register()
