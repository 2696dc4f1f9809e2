"""Tests of the tables of rights, without a target."""
