"""The places where Roomcast runs while it is tested. Only this package knows the differences between them."""
