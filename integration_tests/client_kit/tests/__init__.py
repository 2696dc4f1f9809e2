"""Tests of the Python client against the kit, and of the kit itself."""
