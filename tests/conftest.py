"""One thread for every test and what it starts: the images are tiny, and threads would wait for each other."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # for processes that a test starts

import torch

torch.set_num_threads(1)
