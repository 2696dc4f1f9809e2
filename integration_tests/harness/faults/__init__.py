"""Faults injected between the handlers and AWS's endpoints, by rule and rate."""
