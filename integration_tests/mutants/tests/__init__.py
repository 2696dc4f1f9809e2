"""Tests of the mutants themselves, which need no target."""
