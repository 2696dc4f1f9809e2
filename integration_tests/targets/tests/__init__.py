"""Tests of the targets' edges, without a target under test."""
