"""Terraform that recovers: what stopped half-way is completed by a plain apply, and changes lose nothing."""
