"""Tests of what is true of PyTorch."""
