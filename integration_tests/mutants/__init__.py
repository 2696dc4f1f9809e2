"""Mutation tests: each mutant breaks the code in one way, and named tests must fail on it."""
