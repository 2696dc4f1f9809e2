"""Tests of the fault proxy itself; no target is involved."""
