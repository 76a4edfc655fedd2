"""What a training runs on, and which precision suits it."""

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from siamese_utils.learning.store import library_versions

FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
GPU_DEVICES = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # where Linux, and WSL, show one
THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


@cache
def best_precision() -> str:
    """Return `mixed_bfloat16` where the processor or the GPU computes in it, else `float32`.

    Elsewhere bfloat16 is emulated, and far slower than float32. TensorFlow is asked only where
    there may be a GPU.
    """
    if any(map(os.path.exists, GPU_DEVICES)):
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
            return "mixed_bfloat16" if capability and capability >= (8, 0) else "float32"
    has_it = {"amx_bf16", "avx512_bf16"} & set(_processor_flags())
    return "mixed_bfloat16" if has_it else "float32"


def describe_machine() -> dict[str, Any]:
    """Return what a training runs on: what of it changes results in their last digits, and more.

    One thread or two, with oneDNN or without, give other roundings, which a training carries on.
    """
    import tensorflow as tf

    affinity = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "cores allowed": len(affinity(0)),
        "threads within an operation": tf.config.threading.get_intra_op_parallelism_threads(),
        "threads between operations": tf.config.threading.get_inter_op_parallelism_threads(),
        "thread variables": [f"{n}={os.environ[n]}" for n in THREAD_VARIABLES if n in os.environ],
        "oneDNN": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0",
        "features": [flag for flag in FEATURES if flag in _processor_flags()],
        "gpus": len(tf.config.list_physical_devices("GPU")),
    } | library_versions()


@cache
def _processor_flags() -> tuple[str, ...]:
    """Return what the processor can do, as Linux names it; elsewhere nothing is known."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    flags = next((line for line in lines if line.startswith("flags")), ":")
    return tuple(flags.split(":", 1)[1].split())
