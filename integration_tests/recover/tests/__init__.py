"""Tests of the withholding proxy itself; no target is involved."""
