"""Tests of the load tool, against a stage in miniature."""
