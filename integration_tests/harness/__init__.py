"""What the tests are written with: clients that count every message, deadlines, and a view of the connections table."""
