"""Many projects at once: what they recorded, the templates that they name, and the work."""
