"""The exit code and one-line message of a command that failed."""

import os
import sys
from pathlib import Path
from types import TracebackType

from advgan.storage.documents import read_document
from advgan.storage.space import FULL

FAILED, WRONG_USAGE = 1, 2
RESUMED = ("attack", "fit", "train")
_OURS = Path(__file__).resolve().parents[3]
_PACKAGES = ("attacks", "advgan", "evaluation", "configs")


def ending(error: Exception) -> tuple[int, str]:
    """The exit code and the line for an error: 2 where the command or its input must change, else 1.

    A ValueError raised by our own code means wrong input (2). Any other error is unexpected, and the line names its
    type.
    """
    text = _words(error)
    if _lacks_memory(error):
        return FAILED, (
            f"memory ran out ({(text or type(error).__name__)[:160]}): give --batch-size auto or a smaller one, fewer "
            "images with -n, or the process more memory"
        )
    if isinstance(error, OSError):
        return FAILED, _file_error(error) or text
    code = None
    if raised_by_us(error.__traceback__):  # what foreign code raises chooses no exit code
        code = getattr(error, "exit_code", WRONG_USAGE if isinstance(error, ValueError) else None)
    if code is not None:
        return code, text
    kind = type(error).__name__
    return FAILED, f"{text or kind} ({kind}; add -vv for the trace)"


def _lacks_memory(error: Exception) -> bool:
    """Whether memory ran out where nothing makes the work smaller: while data are read, or a library is loaded."""
    if getattr(error, "exit_code", None) is not None:
        return False
    if isinstance(error, MemoryError) or "failed to map segment" in _words(error):  # perhaps of torch itself
        return True
    if "torch" not in sys.modules:  # an error of a command that has not come so far is told at once
        return False
    from advgan.machine.out_of_memory import is_out_of_memory

    return is_out_of_memory(error)


def _words(error: Exception) -> str:
    """Its message in one line; none where foreign code does not even give that."""
    try:
        return " ".join(str(error).split())
    except BaseException:  # an error of its own
        return ""


def _file_error(error: OSError) -> str:
    """The file and the system's message, without errno."""
    if not error.strerror or error.filename is None:
        return error.strerror or ""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' to '.join(names)}: {error.strerror[0].lower()}{error.strerror[1:]}{_going_on(error, Path(names[0]))}"


def _going_on(error: OSError, file: Path) -> str:
    """The command by which a run goes on that the file belongs to, where the disk was full; else nothing."""
    run = next((folder for folder in file.parents if (folder / "config.yaml").is_file()), None)
    if error.errno not in FULL or run is None:
        return ""
    try:
        verb = read_document(run / "env.json")["verb"]
    except (ValueError, KeyError):
        return ""
    return f"; once there is room, advgan {verb} --resume {run} goes on" if verb in RESUMED else ""


def raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame of a trace is of our code; true where there is none."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return True
    file = Path(trace.tb_frame.f_code.co_filename).resolve()
    return file == _OURS / "cli.py" or any(file.is_relative_to(_OURS / name) for name in _PACKAGES)
