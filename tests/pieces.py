"""Work for processes side by side, importable by them."""

import os
import signal
import threading
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Piece:
    """A piece of work that needs others done before."""

    name: str
    after: tuple = ()


def leave_a_file(folder, piece, progress):
    """Leave a file that says which of the needed files were missing, and the number of threads."""
    progress(1)
    missing = [other.name for other in piece.after if not (folder / other.name).exists()]
    progress(2)
    (folder / piece.name).write_text(f"missing {missing}, threads {torch.get_num_threads()}")


def fail_or_stand_still(piece, progress):
    """Do what the name of the piece says."""
    if piece.name == "raise":
        raise FloatingPointError("the loss is nan")
    if piece.name == "raise what cannot be sent":
        raise ValueError(lambda: None)
    if piece.name == "exit":
        os._exit(3)
    if piece.name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    progress(1)
    threading.Event().wait()
