"""Checks of the code's surroundings: Terraform's findings, known vulnerabilities, and what the zips are made of."""
