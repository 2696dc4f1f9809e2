"""Where Roomcast runs while it is tested. Only this package knows the difference between the places.

Imports nothing: the corrected MiniStack runs from here in an environment that lacks what the tests need.
"""
