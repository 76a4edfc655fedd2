"""The machine: its properties, its speed, and the precision in which it trains fastest."""

import os
import platform
import re
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from siamese_utils import settings
from siamese_utils.training.cache import library_versions

FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
PRECISIONS = {  # choice -> Keras dtype policy
    "auto": "",  # see `choose_precision`
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
}
ISA_VARIABLE = "ONEDNN_MAX_CPU_ISA"  # limits oneDNN to the instructions of an older processor
GPU_DEVICES = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, any GPU under WSL, AMD
THREAD_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def best_precision() -> str:
    """Return the Keras dtype policy for training on this machine.

    A precision in the environment variable SIAMESE_PRECISION is used unchecked: `run_all.py` sets
    it for all its processes after checking it once. Without it, `choose_precision` decides.
    """
    choice = os.environ.get(settings.PRECISION_VARIABLE) or "auto"
    return PRECISIONS.get(choice) or choose_precision(choice)


def choose_precision(choice: str) -> str:
    """Return the Keras dtype policy for a choice of precision.

    Args:
        choice: `float32`, `bfloat16`, or `auto`: bfloat16 if it is faster than float32 on this
            machine and TensorFlow can run it, otherwise float32.

    Returns:
        `float32` or `mixed_bfloat16`.

    Raises:
        ValueError: The choice is unknown, or TensorFlow cannot compute in bfloat16 here.
    """
    if choice not in PRECISIONS:
        raise ValueError(f"unknown precision {choice!r}; choose one of {', '.join(PRECISIONS)}")
    if choice == "bfloat16" and not can_run_bfloat16():
        raise ValueError(
            "precision bfloat16: TensorFlow cannot train in bfloat16 on this machine; "
            "choose float32 or auto"
        )
    if choice == "auto":
        choice = "bfloat16" if prefers_bfloat16() and can_run_bfloat16() else "float32"
    return PRECISIONS[choice]


@cache
def prefers_bfloat16() -> bool:
    """Return whether bfloat16 is expected to be faster than float32 on this machine.

    TensorFlow is imported only if the machine may have a GPU.
    """
    if any(map(os.path.exists, GPU_DEVICES)):
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
            return bool(capability) and capability >= (8, 0)
    limit = os.environ.get(ISA_VARIABLE, "").upper()
    if not _has_onednn() or (limit and not re.search("BF16|FP16|AMX|DEFAULT|ALL", limit)):
        return False  # bfloat16 is slower if oneDNN may not use the bfloat16 instructions.
    flags, vendor = set(_read_processor("flags").split()), _read_processor("vendor_id")
    # On Intel's avx512_bf16 without AMX, a training run took 23 s in bfloat16 and 16 s in float32;
    # on AMD's avx512_bf16, bfloat16 halved the time.
    return "amx_bf16" in flags or ("avx512_bf16" in flags and vendor == "AuthenticAMD")


@cache
def can_run_bfloat16() -> bool:
    """Return whether TensorFlow can compute an encoder's operations and gradients in bfloat16.

    The processor's flags do not decide it: with `ONEDNN_MAX_CPU_ISA=AVX2`, for example, the
    convolution fails on a processor that has bfloat16 instructions.
    """
    import tensorflow as tf

    images = tf.ones((2, 8, 8, 4), tf.bfloat16)
    kernel, weights = tf.ones((3, 3, 4, 8), tf.bfloat16), tf.ones((72, 4), tf.bfloat16)
    try:
        with tf.GradientTape() as tape:
            tape.watch([images, kernel, weights])
            features = tf.nn.max_pool2d(
                tf.nn.relu(tf.nn.conv2d(images, kernel, 1, "VALID")), 2, 2, "VALID"
            )
            loss = tf.reduce_sum(tf.reshape(features, (2, 72)) @ weights)
        gradients = tape.gradient(loss, [images, kernel, weights])
        return all(np.isfinite(tf.cast(gradient, tf.float32)).all() for gradient in gradients)
    except tf.errors.OpError:
        return False


@cache
def float32_speed() -> float:
    """Measure the speed of matrix multiplication, in float32 operations per second."""
    side = 1024
    matrix = np.ones((side, side), dtype=np.float32)
    seconds = []
    for _ in range(6):  # The first product is slower, since it starts the threads.
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)


def describe_machine() -> dict[str, Any]:
    """Return the properties of the machine that are recorded with each training result.

    The number of threads and oneDNN, for example, change how sums are rounded. Training amplifies
    such differences.
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
        "oneDNN": _has_onednn(),
        "oneDNN limit": os.environ.get(ISA_VARIABLE, ""),
        "processor": _read_processor("vendor_id"),
        "features": [flag for flag in FEATURES if flag in _read_processor("flags").split()],
        "gpus": len(tf.config.list_physical_devices("GPU")),
    } | library_versions()


def _has_onednn() -> bool:
    return os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0"


@cache
def _read_processor(name: str) -> str:
    """Return a field of the first processor in /proc/cpuinfo; "" on other systems than Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    line = next((line for line in lines if line.startswith(name)), "")
    return line.partition(":")[2].strip()
