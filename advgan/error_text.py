"""The message of somebody else's error, short enough for one line of ours."""


def first_line(error: BaseException) -> str:
    """The first line of a message; the type of the error where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def one_line(error: BaseException, *, longest: int | None = 160) -> str:
    """The whole message in one line of at most `longest` characters; the type of the error where it has none."""
    return " ".join(str(error).split())[:longest] or type(error).__name__
