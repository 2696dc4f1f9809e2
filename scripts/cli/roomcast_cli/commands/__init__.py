"""The commands of ``roomcast``, one file each."""
