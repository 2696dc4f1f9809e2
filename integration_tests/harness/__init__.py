"""Building blocks of the tests: clients, the connections table, CloudWatch, the queue, and the ledger of a run."""
