"""End-to-end tests of the commands that users run."""
