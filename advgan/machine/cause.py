"""Where an error began."""

import traceback
from pathlib import Path

import torch

_TORCH = Path(torch.__file__).parent


def innermost(error: BaseException) -> str:
    """One line on the error that all others followed: what it says, and the last line outside torch that led to it.

    What ends a block may fail because of what failed within it, and then hides that.
    """
    while (earlier := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        error = earlier
    message = (str(error).splitlines() or [type(error).__name__])[0]
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if _TORCH not in Path(frame.filename).parents
    ]
    return (
        f"{message}; at {Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line}" if frames else message
    )
