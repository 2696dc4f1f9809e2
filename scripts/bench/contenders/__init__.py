"""Each sends one message to a number of recipients in a process of its own and prints what that cost it."""
