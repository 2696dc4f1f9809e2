"""The test of the tests: code broken on purpose, each time in one way, which the suite must notice."""
