"""The adapters that the model uses: the tuner types of our own and the putting on of an adapter's folder.

A tuner type becomes known to PEFT by being imported: every type is imported here, in `register_tuners`, which is
called before any adapter is loaded. Knows no checkpoint and no device.
"""

import logging


def quiet_bitsandbytes() -> None:
    """Keep bitsandbytes, which PEFT imports where it is installed, from warning of a kernel that nothing here needs."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def register_tuners() -> None:
    """Make PEFT know every tuner type of this package; safe to call again."""
    quiet_bitsandbytes()
    from model.adapters.moe_lora import register as moe_lora
    from model.adapters.multiway import register as multiway

    moe_lora.register()
    multiway.register()
