"""Releases as other configurations use them: fetched by Terraform alone, and applied to an emulator."""
