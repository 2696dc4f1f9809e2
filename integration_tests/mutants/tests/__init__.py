"""Tests of the mutants' machinery; they need no target."""
