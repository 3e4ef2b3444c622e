"""Tests of what is rendered: locked, installed and run."""
