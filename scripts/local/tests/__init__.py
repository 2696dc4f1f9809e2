"""The emulator's start and end."""
