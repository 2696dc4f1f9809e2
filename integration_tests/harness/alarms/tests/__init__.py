"""Tests of the evaluation of alarms."""
