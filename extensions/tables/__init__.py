"""What is true of PyTorch: release lines, backends, platforms."""
