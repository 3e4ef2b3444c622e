"""Tests of projects that are there: adoption, updates, and the folder itself."""
