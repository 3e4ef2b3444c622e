"""A project on disk: before, while and after the template writes to it."""
