"""What holds for every test.

One thread for each and what it starts: the images are tiny, and threads would wait for each other.
"""

import logging
import os
from collections.abc import Iterator

os.environ["OMP_NUM_THREADS"] = "1"  # for processes that a test starts
os.environ["OMP_WAIT_POLICY"] = "passive"  # as the command line sets it, for the few tests with more threads

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """The command line sets up the log of the whole process; the next test gets it as it was."""
    log = logging.getLogger("advgan")
    level, propagate, handlers = log.level, log.propagate, list(log.handlers)
    yield
    log.setLevel(level)
    log.propagate, log.handlers = propagate, handlers
