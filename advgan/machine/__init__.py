"""What computes: devices, their kernels and precision, threads, processes, memory."""
