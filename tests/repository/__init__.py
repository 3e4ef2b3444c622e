"""Tests of this repository: its rooms, its promises and its tests."""
