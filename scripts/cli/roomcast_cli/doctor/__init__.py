"""What ``roomcast doctor`` looks at: one module a group of checks."""
