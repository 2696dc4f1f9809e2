"""The test of the tests: handlers broken on purpose, each of which the suite must notice."""
