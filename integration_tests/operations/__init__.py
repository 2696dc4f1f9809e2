"""The commands that people run, from beginning to end."""
