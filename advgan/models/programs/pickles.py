"""What a pickle would call, read without unpickling it."""

import io
import pickletools
import re
import zipfile

_OF_TENSORS = re.compile(
    r"torch (\w+Storage|Size|device|bool|u?int\d+|b?float\d+|complex\d+|strided)"
    r"|torch\._utils _rebuild_(tensor_v2|parameter)|torch\.storage (Untyped|Typed)Storage"
    r"|torch\.serialization _get_layout|collections OrderedDict|__builtin__ (set|bytearray)|_codecs encode"
)
_MOST_BYTES = 64_000_000


def is_of_tensors(content: bytes) -> bool:
    """Whether what `torch.save` wrote names nothing but tensors and plain values. Nothing in it is run.

    Classes that are named other than in plain words, as newer pickles do, count as something else.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            pickles = [info for info in archive.infolist() if info.filename.lower().endswith(".pkl")]
            if not pickles or any(info.file_size > _MOST_BYTES for info in pickles):
                return False
            return all(_names_tensors(archive.read(info)) for info in pickles)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return False


def _names_tensors(content: bytes) -> bool:
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
            return False
        if operation.name == "GLOBAL" and not _OF_TENSORS.fullmatch(str(argument)):
            return False
    return True
