"""What a training runs on, and which precision suits it."""

import os
import platform
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from siamese_utils.learning.store import library_versions

FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
GPU_DEVICES = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # where Linux, and WSL, show one
THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


@cache
def best_precision() -> str:
    """Return `mixed_bfloat16` where the processor or the GPU is the faster in it, else `float32`.

    TensorFlow is asked only where there may be a GPU.
    """
    if any(map(os.path.exists, GPU_DEVICES)):
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
            return "mixed_bfloat16" if capability and capability >= (8, 0) else "float32"
    flags, vendor = set(_read_processor("flags").split()), _read_processor("vendor_id")
    # Intel's avx512_bf16 without AMX took 23 s where float32 took 16; AMD's takes half of float32
    faster = "amx_bf16" in flags or ("avx512_bf16" in flags and vendor == "AuthenticAMD")
    return "mixed_bfloat16" if faster else "float32"


@cache
def float32_speed() -> float:
    """Return how fast this machine multiplies matrices, in float32 operations a second."""
    side = 1024
    factor = np.ones((side, side), dtype=np.float32)
    seconds = []
    for _ in range(6):  # the first one wakes the threads
        start = time.perf_counter()
        factor @ factor
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)


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
        "processor": _read_processor("vendor_id"),
        "features": [flag for flag in FEATURES if flag in _read_processor("flags").split()],
        "gpus": len(tf.config.list_physical_devices("GPU")),
    } | library_versions()


@cache
def _read_processor(name: str) -> str:
    """Return what Linux says of the processor under a name; elsewhere nothing is known."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    line = next((line for line in lines if line.startswith(name)), "")
    return line.partition(":")[2].strip()
