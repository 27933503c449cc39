"""The hardware: devices, their kernels and precision, threads, processes, memory."""
