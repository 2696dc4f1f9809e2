"""States of CloudWatch alarms, evaluated as CloudWatch does: emulators do not evaluate alarms on several metrics."""
