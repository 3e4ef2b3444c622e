"""What the indexes show, and what the tables should say: the work of `refresh.py`.

No other room imports it: its libraries are not there when a project is rendered.
"""
