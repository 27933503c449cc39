"""Programs that others exported: what of their files is let through to torch and ONNX Runtime."""
