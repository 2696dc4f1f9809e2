"""Terraform that recovers: a plain apply completes one that stopped half-way, and changes lose nothing."""
