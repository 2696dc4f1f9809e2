"""The table of a run, composed of the objects of each Terraform module, and its comparison with a state."""

from __future__ import annotations

from collections import ChainMap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scripts.asked_of_aws.added_functions import added, too_wide
from scripts.asked_of_aws.alarm_objects import of_alarms
from scripts.asked_of_aws.api_objects import of_api
from scripts.asked_of_aws.comparison import compare, made_by
from scripts.asked_of_aws.dashboard_objects import of_dashboard
from scripts.asked_of_aws.function_objects import of_function
from scripts.asked_of_aws.functions import functions
from scripts.asked_of_aws.invocation import of_additional_routes, of_aliases, of_authorizer
from scripts.asked_of_aws.objects import of_backend, of_stage, outputs, tables
from scripts.asked_of_aws.query_objects import of_queries
from scripts.asked_of_aws.queue_objects import of_presence, of_publish_queue, of_queue
from scripts.asked_of_aws.runs import RUNS
from scripts.asked_of_aws.sweeper_objects import of_sweeper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Run, Table


def table(run: Run, more: Mapping[str, Function]) -> Table:
    """Return the table of a run.

    Args:
        run: Its settings.
        more: Functions that the table does not name; their environment is the shared one.
    """
    own = {**functions(run), **{name: replace(each, environment=run.environment) for name, each in more.items()}}
    return {
        **of_backend(run, own),
        **of_stage(run, own),
        **tables(run),
        **of_api(run, own),
        **of_additional_routes(run),
        **of_aliases(own, run),
        **outputs(run, own),
        **(of_authorizer(run, run.authorizer) if run.authorizer else {}),
        **(of_queue(run, run.queue) if run.queue else {}),
        **(of_alarms(run, run.alarms, own) if run.alarms else {}),
        **(of_dashboard(run, run.dashboard, own) if run.dashboard else {}),
        **(of_queries(run, own) if run.saved_queries else {}),
        **(of_presence(run) if run.presence else {}),
        **(of_publish_queue(run) if run.backends.queue else {}),
        **(of_sweeper(run) if run.sweeper else {}),
        **ChainMap(*(of_function(handler, function, run) for handler, function in own.items())),
    }


def differences(run: str, state: Mapping[str, Any]) -> list[str]:
    """Compare the state of a run with its table.

    Args:
        run: Name of the run.
        state: The run's state: ``values`` of ``terraform show -json``.

    Returns:
        A sentence for each difference.
    """
    if run not in RUNS:
        return [f"{run}: scripts/asked_of_aws/runs.py has no table of this name"]
    made = made_by(state)
    more = added(made)
    return [f"{run}: {line}" for line in (*too_wide(more), *compare(made, table(RUNS[run], more)))]
