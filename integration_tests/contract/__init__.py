"""Promises that one release keeps to the next: a state of before plans without replacing anything."""
