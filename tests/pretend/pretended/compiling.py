"""Compile the device's library once for each version of itself, of torch and of Python, and load it."""

import functools
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import torch

from advgan.storage.cache import cache_dir, cached
from pretended.native_library import NativeLibrary

SOURCES = Path(__file__).parent / "native"
NAME = "pretended_device"


def obstacle() -> str | None:
    """Say why the device cannot be had here, in one line; None where it can."""
    if not torch.backends.cuda.is_built():
        return f"torch {torch.__version__} is built without CUDA; install PyPI's default build for Linux"
    if shutil.which("g++") is None and not _folder().is_dir():
        return "there is no g++, which compiles the device; apt-get install g++"
    return None


@functools.cache
def native() -> NativeLibrary:
    """Load the library, compiled first where it is not in the cache: about a minute."""
    path = cached(_folder(), _compile) / f"{NAME}.so"
    found = importlib.util.spec_from_file_location(NAME, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _folder() -> Path:
    digest = hashlib.sha256((torch.__version__ + sys.version).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.read_bytes())
    return cache_dir() / "pretended-device" / digest.hexdigest()[:12]


def _compile(folder: Path) -> None:
    home = Path(torch.__file__).parent
    includes = [home / "include", home / "include/torch/csrc/api/include", Path(sysconfig.get_paths()["include"])]
    command = ["g++", "-O1", "-std=c++20", "-shared", "-fPIC", "-w", f"-DTORCH_EXTENSION_NAME={NAME}"]
    command += [f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"]
    command += [f"-I{path}" for path in includes]
    command += [str(SOURCES / "device.cpp"), "-o", str(folder / f"{NAME}.so")]
    command += [f"-L{home / 'lib'}", "-lc10", "-ltorch_cpu", "-ltorch", "-ltorch_python"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise ValueError(f"the pretended device does not compile with torch {torch.__version__}:\n{done.stderr}")
