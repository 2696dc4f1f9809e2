"""The library of the handlers, one module per concern; imports go in one direction.

``connect.py ...`` -> ``serving`` -> ``delivery``, ``tasks``, ``rooms`` -> ``fanout`` (the engine), ``aws_json`` ->
``connection``, ``signing`` -> the standard library.
Only ``rooms`` knows the table's keys, only the engine knows ``@connections``, only ``protocol`` knows the wire format,
only ``events`` knows the events that API Gateway hands to Lambda.
"""
