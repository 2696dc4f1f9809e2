"""Compatibility between releases: a plan from an earlier state replaces nothing."""
