"""Tests of the report; no target is involved."""
