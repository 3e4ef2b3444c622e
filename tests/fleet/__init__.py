"""Tests of the check for drift."""
