"""Tests over real WebSocket connections, against the embedded emulator, LocalStack or a live stage."""
