"""Contenders: each is a process that sends one message to a number of recipients and prints its cost."""
