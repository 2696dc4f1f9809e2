"""Tests that need a checker's own environment, so that only its tox environment runs them."""
