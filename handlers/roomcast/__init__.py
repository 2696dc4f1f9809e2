"""What two or more handlers need, one module a concern, imported in one direction.

``connect.py ...`` -> ``serving`` -> ``rooms``, ``fanout``, ``protocol`` -> ``aws_json`` -> ``aws_http`` -> the standard
library.
Only ``rooms`` knows the table's keys, only ``fanout`` knows ``@connections``, only ``protocol`` knows what goes over
the wire, only ``events`` knows what API Gateway hands to Lambda.
"""
