"""The other keys of LLaMA-Factory's and of transformers' training arguments: those that mean nothing here.

Each is taken with the value that it has anyhow there, and refused with another one, with what to write instead; or it
is taken with a note because it changes no result. `docs/llamafactory.md` has the table of all keys.
"""

from typing import Any

NOT_HERE: tuple[tuple[str, dict[str, tuple[Any, ...]]], ...] = (
    (
        "no words are added to a tokenizer; leave it out",
        {
            "add_tokens": (None,), "add_special_tokens": (None,), "new_special_tokens_config": (None,),
            "init_special_tokens": ("noise_init",), "split_special_tokens": (False,),
        },
    ),
    (
        "the model is that of the checkpoint; leave it out",
        {
            "mixture_of_depths": (None,), "train_from_scratch": (False,), "use_llama_pro": (False,),
            "upcast_lmhead_output": (False,),
        },
    ),
    (
        "write gradient_checkpointing: true, and leave it out",
        {"use_unsloth_gc": (False,), "activation_checkpointing": (False,), "activation_checkpointing_kwargs": (None,)},
    ),
    (
        "its kernels are not used; leave it out",
        {
            "use_v1_kernels": (False,), "use_kt": (False,), "kt_cpu_activation": (None,), "kt_weight_path": (None,),
            "kt_non_expert_weight_path": (None,), "kt_expert_checkpoint_path": (None,), "kt_use_lora_experts": (None,),
            "kt_lora_expert_num": (None,), "kt_lora_expert_intermediate_size": (None,), "liger_kernel_config": (None,),
            "fp8": (False,), "fp8_backend": ("auto",), "fp8_enable_fsdp_float8_all_gather": (False,),
            "torch_compile": (False,), "torch_compile_backend": (None,), "torch_compile_mode": (None,),
        },
    ),
    (
        "no key of an account belongs into a file; run `hf auth login`, and leave it out",
        {"hf_hub_token": (None,), "ms_hub_token": (None,), "om_hub_token": (None,), "hub_token": (None,)},
    ),
    (
        "where a base lies is found by itself; leave it out",
        {"quantization_device_map": (None,), "adapter_folder": (None,)},
    ),
    (
        "pictures are read as Qwen3-VL's own processor reads them; leave it out",
        {"image_do_pan_and_scan": (False,), "crop_to_patches": (False,)},
    ),
    (
        "sound is not heard; leave it out",
        {"use_audio_in_video": (False,), "audio_sampling_rate": (16000,)},
    ),
    (
        "load the merged model with --quantization nf4; leave it out",
        {"export_quantization_nsamples": (128,), "export_quantization_maxlen": (1024,)},
    ),
    (
        "the model answers itself; for SGLang name its address as the setting model, and leave it out",
        {"sglang_config": (None,), "sglang_lora_backend": ("triton",)},
    ),
    (
        "write a system message into the rows, and leave it out",
        {"default_system": (None,)},
    ),
    (
        "the checkpoint's own chat template writes tools and thinking; leave it out",
        {"tool_format": (None,), "preserve_thinking": (False,)},
    ),
    (
        "all rows are read before the training begins; leave it out",
        {"buffer_size": (16384,), "data_shared_file_system": (False,)},
    ),
    (
        "answers take the likeliest or a drawn token, beams are not searched; leave it out",
        {"eval_num_beams": (None, 1), "generation_num_beams": (None, 1)},
    ),
    (
        "rows of several files are measured together; write one file for each run",
        {"eval_on_each_dataset": (False,)},
    ),
    ("write max_new_tokens", {"max_length": (1024, None), "generation_max_length": (None,)}),
    ("write max_new_tokens, temperature and top_p", {"generation_config": (None,)}),
    (
        "this adapter is not trained here; write finetuning_type: lora, and leave it out",
        {"oft_rank": (0,), "oft_block_size": (32,), "oft_target": ("all",), "module_dropout": (0.0,)},
    ),
    (
        "of preferences DPO alone is trained, against the model as it begins; leave it out",
        {
            "pref_ftx": (0.0,), "pref_bco_weight": (0.0,), "dpo_label_smoothing": (0.0,), "kto_chosen_weight": (1.0,),
            "kto_rejected_weight": (1.0,), "simpo_gamma": (0.5,), "ppo_buffer_size": (1,), "ppo_epochs": (4,),
            "ppo_score_norm": (False,), "ppo_target": (6.0,), "ppo_whiten_rewards": (False,),
            "ref_model_adapters": (None,), "ref_model_quantization_bit": (None,), "reward_model_adapters": (None,),
            "reward_model_quantization_bit": (None,), "reward_model_type": ("lora",), "ld_alpha": (None,),
        },
    ),
    (
        "write one of optim's names instead, and leave it out",
        {
            "galore_target": ("all",), "galore_rank": (16,), "galore_update_interval": (200,), "galore_scale": (2.0,),
            "galore_proj_type": ("std",), "galore_layerwise": (False,), "apollo_target": ("all",),
            "apollo_rank": (16,), "apollo_update_interval": (200,), "apollo_scale": (32.0,), "apollo_proj": ("random",),
            "apollo_proj_type": ("std",), "apollo_scale_type": ("channel",), "apollo_layerwise": (False,),
            "apollo_scale_front": (False,), "badam_mode": ("layer",), "badam_start_block": (None,),
            "badam_switch_mode": ("ascending",), "badam_switch_interval": (50,), "badam_update_ratio": (0.05,),
            "badam_mask_mode": ("adjacent",), "badam_verbose": (0,), "optim_args": (None,),
            "optim_target_modules": (None,), "lr_scheduler_kwargs": (None, {}),
        },
    ),
    (
        "SwanLab's own settings say it; set them by `swanlab` or its environment, and leave it out",
        {
            "swanlab_workspace": (None,), "swanlab_logdir": (None,), "swanlab_lark_webhook_url": (None,),
            "swanlab_lark_secret": (None,),
        },
    ),
    (
        "several processes are started by accelerate; leave it out, docs/finetuning.md shows how",
        {
            "use_mca": (False,), "use_megatron_bridge": (False,), "use_hyper_parallel": (False,),
            "hyper_parallel_args": (None,), "hyper_parallel_cp_size": (1,), "ray_init_kwargs": (None,),
            "master_addr": (None,), "master_port": (None,), "fsdp_config": (None,), "accelerator_config": (None,),
            "parallelism_config": (None,), "ddp_backend": (None,),
        },
    ),
    (
        "the loss is the mean over the labelled tokens; leave it out",
        {
            "use_dft_loss": (False,), "use_asft_loss": (False,), "asft_alpha": (0.1,), "use_eaft_loss": (False,),
            "eaft_alpha": (1.0,), "label_smoothing_factor": (0, 0.0), "average_tokens_across_devices": (True,),
        },
    ),
    (
        "run it under torch's own profiler; leave it out",
        {
            "enable_torch_profiler": (False,), "profiler_output_dir": (None,), "profiler_wait_steps": (1,),
            "profiler_warmup_steps": (1,), "profiler_active_steps": (1,), "profiler_repeat": (1,),
            "profiler_record_shapes": (True,), "profiler_profile_memory": (True,), "profiler_with_stack": (True,),
            "profile_modules": (None,), "debug": (None, "", []), "skip_memory_metrics": (True,),
        },
    ),
    (
        "exam sets are not run here; `lorgnette finetune evaluate` measures answers to your rows",
        {
            "task": (None,), "task_dir": ("evaluation",), "lang": ("en",), "n_shot": (5,), "save_dir": (None,),
            "download_mode": (None,),
        },
    ),
    ("arithmetic follows bf16 and fp16; leave it out", {"tf32": (None, False)}),
    (
        "a step that does not fit says what to lower; leave it out",
        {"auto_find_batch_size": (False,), "torch_empty_cache_steps": (None,)},
    ),
    ("lines of the log come each logging_steps; write steps", {"logging_strategy": ("steps",)}),
    (
        "held-back rows are measured as eval_strategy says; leave it out",
        {
            "eval_delay": (None, 0, 0.0), "eval_on_start": (False,), "eval_accumulation_steps": (None,),
            "batch_eval_metrics": (False,), "include_for_metrics": (None, []), "eval_use_gather_object": (False,),
        },
    ),
    (
        "a run that goes on repeats no row; leave it out",
        {
            "ignore_data_skip": (False,), "restore_callback_states_from_checkpoint": (False,),
            "enable_jit_checkpoint": (False,),
        },
    ),
    ("embeddings of an adapter learn at learning_rate; leave it out", {"loraplus_lr_embedding": (1e-6,)}),
    ("every row is learned; write false", {"dataloader_drop_last": (False,)}),
    ("runs on one CPU are the same bit for bit by seed; leave it out", {"full_determinism": (False,)}),
    ("hide the cards with the variable CUDA_VISIBLE_DEVICES, and leave it out", {"use_cpu": (False,)}),
    (
        "nothing is uploaded; run `hf upload NAME output_dir` afterwards, and leave it out",
        {
            "hub_private_repo": (None,), "hub_strategy": ("every_save",), "hub_always_push": (False,),
            "hub_revision": (None,),
        },
    ),
    (
        "name the tracker in report_to; leave it out",
        {
            "project": ("huggingface",), "trackio_space_id": (None, "trackio"), "trackio_bucket_id": (None,),
            "trackio_static_space_id": (None,),
        },
    ),
    ("labels are made of the rows; leave it out", {"label_names": (None,)}),
    ("rows are sorted by their length in tokens; leave it out", {"length_column_name": ("length",)}),
    ("write group_by_length: true", {"sortish_sampler": (False,)}),
)  # fmt: skip
"""What to write instead, and the keys that are told it with the values that they may have."""

CHANGES_NOTHING: dict[str, str] = {
    "use_kv_cache": "not needed, answers always keep keys and values and training never does",
    "offload_folder": "read by the server's own setting of that name",
    "include_effective_tokens_per_second": "the log has it",
    "bf16_full_eval": "held-back rows are computed as the training is",
    "fp16_full_eval": "held-back rows are computed as the training is",
    "log_on_each_node": "the first process logs",
    "log_level": "the program's own --verbose decides",
    "log_level_replica": "the program's own --verbose decides",
    "logging_nan_inf_filter": "a loss that is no number ends the run",
    "disable_tqdm": "the bar is for terminals alone",
    "prediction_loss_only": "not needed, held-back rows are measured by their loss",
    "eval_do_concat_batches": "not needed",
    "remove_unused_columns": "not needed, no column of a row is handed to the model unread",
    "dataloader_pin_memory": "not needed",
    "dataloader_persistent_workers": "not needed",
    "dataloader_prefetch_factor": "not needed",
    "dataloader_multiprocessing_context": "not needed",
    "dataloader_in_order": "not needed, rows come by seed and epoch",
    "ddp_find_unused_parameters": "found by itself",
    "ddp_bucket_cap_mb": "found by itself",
    "ddp_broadcast_buffers": "found by itself",
    "ddp_static_graph": "found by itself",
    "pissa_convert": "always done, what is saved belongs on the untouched base",
    "local_rank": "accelerate says it",
}
"""Why nothing need be done."""
