"""What Terraform asks of AWS, every object and every setting, compared with a table written by hand.

``terraform/tests/whole/`` applies the root to a mocked provider with everything on, with everything off and with a
queue alone; ``python -m scripts.terraform check`` hands the results to :func:`differences`. A right that is too wide, a
setting that does not arrive, two settings that were swapped, an object more or less: each is a difference.

============= =====================================================================================
functions     rows of Roomcast's own functions: memory, timeout, environment, rights
objects       objects that each Terraform module asks for
runs          the table of each run, made of the two above
comparison    how an object is compared with its row
mocks         values that AWS would choose, one file for the mocked provider, made for each function
============= =====================================================================================

The table repeats the configuration on purpose: values stand here as AWS is to get them, and no line is made from the
configuration. Only the digests of the zips are computed, from the zips. A route that the table does not name gets its
description, memory, timeout, limits and rights from its row and its policy; these rights must stay within the table,
the queue and the clients of the stage. All else of such a route is compared.

The package needs the standard library only.
"""

from scripts.asked_of_aws.runs import TABLES, differences

__all__ = ["TABLES", "differences"]
