"""Roomcast on this machine: an emulator, the root applied to it, and the stack of `make up`."""
