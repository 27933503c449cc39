"""Find the root cause of a chain of exceptions."""

import traceback
from pathlib import Path

import torch

from advgan.error_text import first_line

_TORCH = Path(torch.__file__).parent


def innermost(error: BaseException) -> str:
    """Describe the first exception of a chain in one line: its message, and the innermost source line outside torch.

    The last exception of a chain may only come from cleaning up after the first, and hides it.
    """
    while (earlier := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = earlier
    message = first_line(error)
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _TORCH not in Path(frame.filename).parents
    ]
    return (
        f"{message}; at {Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line}" if frames else message
    )
