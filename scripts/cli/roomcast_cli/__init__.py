"""The command ``roomcast``."""
