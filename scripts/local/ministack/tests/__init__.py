"""Tests of every correction against a corrected MiniStack, with the same probe against a plain one."""
