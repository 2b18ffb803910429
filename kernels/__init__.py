"""Compiled loops over plain arrays: no torch, no import from nmcmc, results written into the caller's arrays.

A kernel is serial and releases the GIL; ``nmcmc.parallel`` runs it on chunks of chains or blocks in threads.

Machine code is cached in the user's cache folder unless NUMBA_CACHE_DIR names another: files beside the kernels would
outlive an uninstalled nmcmc, and an empty ``nmcmc`` folder in site-packages hides a later editable install.
"""

import os
from pathlib import Path

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nmcmc" / "kernels"
os.environ.setdefault("NUMBA_CACHE_DIR", str(_CACHE))
