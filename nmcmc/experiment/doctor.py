"""What this machine and installation are: versions, threads, linear algebra, devices."""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np
import torch

from nmcmc.experiment.summary import versions
from nmcmc.parallel import n_threads


def doctor_command() -> dict[str, Any]:
    """Return versions, processor, threads, BLAS, the threading of kernels, and devices."""
    import llvmlite.binding

    import nmcmc.kernels  # noqa: F401 — names the folder of the kernel cache

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "command": "doctor",
        "versions": {"python": platform.python_version(), **versions(), "llvmlite": llvmlite.__version__},
        "machine": platform.machine(),
        "processor": llvmlite.binding.get_host_cpu_name(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": {"torch": n_threads(), "kernels": n_threads(), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS")},
        "threading_layer": "thread pool of nmcmc (kernels release the GIL); numba's own layers are not used",
        "numpy_blas": f"{blas['name']} {blas['version']}",
        "torch_blas": "MKL" if torch._C.has_mkl else "built in",
        "cuda": torch.cuda.is_available(),
        "kernel_cache": os.environ["NUMBA_CACHE_DIR"],
        "jit": os.environ.get("NUMBA_DISABLE_JIT", "0") == "0",
    }
