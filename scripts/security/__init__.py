"""Checks of the code's surroundings: Terraform's findings, known vulnerabilities, and the zips' contents."""
