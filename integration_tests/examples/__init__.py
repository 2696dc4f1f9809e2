"""Tests of the configurations in `terraform/examples/`."""
