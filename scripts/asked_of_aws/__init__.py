"""Compares every object and setting that Terraform requests from AWS with a table written by hand.

``terraform/tests/whole/`` applies the root to a mocked provider with every option on, with every option off and with
only a queue. ``python -m scripts.terraform check`` passes the results to :func:`differences`. Differences are, for
example, a permission that is too wide, a lost setting, two swapped settings, and a missing or additional object.

=================== ===========================================================================================
settings            values that a caller of the root may choose, with their defaults
functions, policies rows of Roomcast's own functions: memory, timeout, environment, permissions
added_functions     functions that the table does not name
objects             objects of the backend, its table and the outputs; ``function_objects``, ``api_objects``,
                    ``queue_objects``, ``sweeper_objects``, ``alarm_objects``, ``dashboard_objects``,
                    ``query_objects`` and ``invocation`` hold those of the other modules and files
runs                the settings of each run
table               the table of a run, composed of the above
comparison          comparison of an object with its row
mocks               values that AWS chooses, generated for each function into a file for the mocked provider
=================== ===========================================================================================

The table repeats the configuration on purpose: it holds the values for AWS, and none is derived from the configuration.
Only the zips' digests are computed, from the zips. For a route that the table does not name, description, memory,
timeout, limits and permissions come from its row and policy; the permissions must stay within the table, the queue and
the clients of the stage. All other settings of such a route are compared.

The package needs only the standard library.
"""

from scripts.asked_of_aws.runs import RUNS
from scripts.asked_of_aws.table import differences

__all__ = ["RUNS", "differences"]
