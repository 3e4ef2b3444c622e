"""Tests of what is asked, offered and refused."""
