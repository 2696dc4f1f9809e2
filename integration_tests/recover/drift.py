"""Deletions and changes by hand, for each type of object of the root.

Both tables take an object's attributes from Terraform's state.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.local.aws import Aws

    Attributes = Mapping[str, Any]
    Act = Callable[[Aws, Attributes], object]

ANYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
METRIC_BY_HAND = {
    "Id": "by_hand",
    "MetricStat": {"Metric": {"Namespace": "Hand", "MetricName": "by"}, "Period": 60, "Stat": "Sum"},
}
OF_ALARMS = (
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "AlarmName",
    "ComparisonOperator",
    "DatapointsToAlarm",
    "EvaluationPeriods",
    "Metrics",
    "OKActions",
    "Threshold",
    "TreatMissingData",
)
"""Parameters of PutMetricAlarm that our alarms have, by which DescribeAlarms names them, too."""
ANY_CALLER = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*"}
ANY_TRUST = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


def iam(aws: Aws) -> Any:  # noqa: ANN401 - boto3 is untyped for this service
    """Return a client of IAM."""
    return aws.session.client("iam", endpoint_url=aws.endpoint_url)


def scheduler(aws: Aws) -> Any:  # noqa: ANN401 - boto3 is untyped for this service
    """Return a client of EventBridge Scheduler."""
    return aws.session.client("scheduler", endpoint_url=aws.endpoint_url)


def parameters(aws: Aws) -> Any:  # noqa: ANN401 - boto3 is untyped for this service
    """Return a client of Systems Manager, which keeps parameters."""
    return aws.session.client("ssm", endpoint_url=aws.endpoint_url)


def document(statement: Mapping[str, Any]) -> str:
    """Return a policy of one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def delete_integration(aws: Aws, integration: Attributes) -> None:
    """Delete an integration, and before it its routes, because API Gateway refuses otherwise."""
    gateway, api_id = aws.apigatewayv2, integration["api_id"]
    for route in gateway.get_routes(ApiId=api_id)["Items"]:
        if route["Target"] == f"integrations/{integration['id']}":
            gateway.delete_route(ApiId=api_id, RouteId=route["RouteId"])
    gateway.delete_integration(ApiId=api_id, IntegrationId=integration["id"])


def delete_authorizer(aws: Aws, authorizer: Attributes) -> None:
    """Delete an authorizer, and before it its route, because API Gateway refuses otherwise."""
    gateway, api_id = aws.apigatewayv2, authorizer["api_id"]
    for route in gateway.get_routes(ApiId=api_id)["Items"]:
        if route.get("AuthorizerId") == authorizer["id"]:
            gateway.delete_route(ApiId=api_id, RouteId=route["RouteId"])
    gateway.delete_authorizer(ApiId=api_id, AuthorizerId=authorizer["id"])


def delete_role(aws: Aws, role: Attributes) -> None:
    """Delete a role, and before it its policies, because IAM refuses otherwise."""
    for name in iam(aws).list_role_policies(RoleName=role["name"])["PolicyNames"]:
        iam(aws).delete_role_policy(RoleName=role["name"], PolicyName=name)
    iam(aws).delete_role(RoleName=role["name"])


def delete_table(aws: Aws, table: Attributes) -> None:
    """Delete a table and wait until it is gone."""
    aws.dynamodb.delete_table(TableName=table["name"])
    aws.dynamodb.get_waiter("table_not_exists").wait(TableName=table["name"], WaiterConfig={"Delay": 1})


def remove_permission(aws: Aws, permission: Attributes) -> None:
    """Remove one statement of the policy of a function or its alias."""
    aws.functions.remove_permission(StatementId=permission["statement_id"], **subject_of(permission))


def subject_of(permission: Attributes) -> dict[str, Any]:
    """Return the function, and the alias if there is one, that a permission is about."""
    qualifier = {"Qualifier": permission["qualifier"]} if permission["qualifier"] else {}
    return {"FunctionName": permission["function_name"], **qualifier}


def widen_permission(aws: Aws, permission: Attributes) -> None:
    """Let any API invoke a function, by a statement of the same id."""
    remove_permission(aws, permission)
    aws.functions.add_permission(
        **subject_of(permission),
        StatementId=permission["statement_id"],
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"{permission['source_arn'].rpartition(':')[0]}:*",
    )


def point_elsewhere(aws: Aws, route: Attributes) -> None:
    """Let a route invoke the integration of another one."""
    gateway, api_id = aws.apigatewayv2, route["api_id"]
    targets = {each["Target"] for each in gateway.get_routes(ApiId=api_id)["Items"]} - {route["target"]}
    gateway.update_route(ApiId=api_id, RouteId=route["id"], Target=min(targets))


def attach_a_policy(aws: Aws, role: Attributes) -> None:
    """Attach a managed policy to a role."""
    name = f"attached-{role['role_name']}"
    policy = iam(aws).create_policy(PolicyName=name, PolicyDocument=ANYTHING)["Policy"]["Arn"]
    iam(aws).attach_role_policy(RoleName=role["role_name"], PolicyArn=policy)


def with_authorizer(**settings: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes an authorizer."""
    return lambda aws, authorizer: aws.apigatewayv2.update_authorizer(
        ApiId=authorizer["api_id"], AuthorizerId=authorizer["id"], **settings
    )


def with_queue(name: str, value: str = "") -> Act:
    """Return a function that sets an attribute of a queue, or removes it."""
    return lambda aws, queue: aws.sqs.set_queue_attributes(
        QueueUrl=queue.get("queue_url") or queue["id"],
        Attributes={name: value},  # type: ignore[dict-item] # any attribute
    )


def with_alarm(**settings: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes an alarm, which PutMetricAlarm takes whole."""

    def act(aws: Aws, alarm: Attributes) -> None:
        [described] = aws.cloudwatch.describe_alarms(AlarmNames=[alarm["alarm_name"]])["MetricAlarms"]
        found: dict[str, Any] = {**described}
        aws.cloudwatch.put_metric_alarm(**{name: found[name] for name in OF_ALARMS if name in found} | settings)

    return act


def with_query(**settings: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes a saved query, which PutQueryDefinition takes whole."""
    return lambda aws, query: aws.logs.put_query_definition(
        **{
            "logGroupNames": query["log_group_names"],
            "name": query["name"],
            "queryDefinitionId": query["query_definition_id"],
            "queryString": query["query_string"],
            **settings,
        }
    )


def with_alias(**settings: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes an alias."""
    return lambda aws, alias: aws.functions.update_alias(
        FunctionName=alias["function_name"], Name=alias["name"], **settings
    )


def with_function(**configuration: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes a Lambda function's configuration."""
    return lambda aws, function: aws.functions.update_function_configuration(
        FunctionName=function["function_name"], **configuration
    )


def with_stage(**settings: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes a stage."""
    return lambda aws, stage: aws.apigatewayv2.update_stage(ApiId=stage["api_id"], StageName=stage["name"], **settings)


def with_table(**settings: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes a table."""
    return lambda aws, table: aws.dynamodb.update_table(TableName=table["name"], **settings)


def switch_recovery(aws: Aws, table: Attributes) -> None:
    """Switch the point-in-time recovery of a table on or off."""
    [recovery] = table["point_in_time_recovery"]
    aws.dynamodb.update_continuous_backups(
        TableName=table["name"],
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": not recovery["enabled"]},
    )


def with_schedule(**settings: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes a schedule, whose other settings must be given again."""

    def change(aws: Aws, schedule: Attributes) -> None:
        kept = scheduler(aws).get_schedule(Name=schedule["name"])
        names = ("FlexibleTimeWindow", "Name", "ScheduleExpression", "Target")
        scheduler(aws).update_schedule(**{name: kept[name] for name in names} | settings)

    return change


def with_mapping(**settings: Any) -> Act:  # noqa: ANN401 - any setting
    """Return a function that changes the event source mapping."""
    return lambda aws, mapping: aws.functions.update_event_source_mapping(UUID=mapping["uuid"], **settings)


DELETED: Mapping[str, Act] = {
    "aws_apigatewayv2_api": lambda aws, api: aws.apigatewayv2.delete_api(ApiId=api["id"]),
    "aws_apigatewayv2_authorizer": delete_authorizer,
    "aws_apigatewayv2_integration": delete_integration,
    "aws_apigatewayv2_route": lambda aws, route: aws.apigatewayv2.delete_route(
        ApiId=route["api_id"], RouteId=route["id"]
    ),
    "aws_apigatewayv2_stage": lambda aws, stage: aws.apigatewayv2.delete_stage(
        ApiId=stage["api_id"], StageName=stage["name"]
    ),
    "aws_cloudwatch_dashboard": lambda aws, board: aws.cloudwatch.delete_dashboards(
        DashboardNames=[board["dashboard_name"]]
    ),
    "aws_cloudwatch_log_group": lambda aws, group: aws.logs.delete_log_group(logGroupName=group["name"]),
    "aws_cloudwatch_metric_alarm": lambda aws, alarm: aws.cloudwatch.delete_alarms(AlarmNames=[alarm["alarm_name"]]),
    "aws_cloudwatch_query_definition": lambda aws, query: aws.logs.delete_query_definition(
        queryDefinitionId=query["query_definition_id"]
    ),
    "aws_dynamodb_table": delete_table,
    "aws_iam_role": delete_role,
    "aws_iam_role_policy": lambda aws, policy: iam(aws).delete_role_policy(
        RoleName=policy["role"], PolicyName=policy["name"]
    ),
    "aws_lambda_alias": lambda aws, alias: aws.functions.delete_alias(
        FunctionName=alias["function_name"], Name=alias["name"]
    ),
    "aws_lambda_event_source_mapping": lambda aws, mapping: aws.functions.delete_event_source_mapping(
        UUID=mapping["uuid"]
    ),
    "aws_lambda_function": lambda aws, function: aws.functions.delete_function(FunctionName=function["function_name"]),
    "aws_lambda_permission": remove_permission,
    "aws_lambda_provisioned_concurrency_config": lambda aws, config: (
        aws.functions.delete_provisioned_concurrency_config(
            FunctionName=config["function_name"], Qualifier=config["qualifier"]
        )
    ),
    "aws_s3_object": lambda aws, zipped: aws.s3.delete_object(Bucket=zipped["bucket"], Key=zipped["key"]),
    "aws_scheduler_schedule": lambda aws, schedule: scheduler(aws).delete_schedule(Name=schedule["name"]),
    "aws_sqs_queue": lambda aws, queue: aws.sqs.delete_queue(QueueUrl=queue["url"]),
    "aws_sqs_queue_policy": with_queue("Policy"),
    "aws_sqs_queue_redrive_allow_policy": with_queue("RedriveAllowPolicy"),
    "aws_ssm_parameter": lambda aws, parameter: parameters(aws).delete_parameter(Name=parameter["name"]),
}
"""Deletes an object of a type."""

NO_OBJECTS = {
    "aws_iam_role_policies_exclusive": "says which inline policies a role must not have; it is nothing to delete",
    "aws_iam_role_policy_attachments_exclusive": "says that a role has no managed policies; it is nothing to delete",
}
"""Types without an object, and why."""

CHANGED: Mapping[str, Mapping[str, Act]] = {
    "aws_apigatewayv2_api": {
        "route selection": lambda aws, api: aws.apigatewayv2.update_api(
            ApiId=api["id"], RouteSelectionExpression="$request.body.other"
        ),
        "tags": lambda aws, api: aws.apigatewayv2.tag_resource(ResourceArn=api["arn"], Tags={"by": "hand"}),
    },
    "aws_apigatewayv2_authorizer": {
        "identity source": with_authorizer(IdentitySource=["route.request.header.By-Hand"]),
        "function": lambda aws, authorizer: with_authorizer(
            AuthorizerUri=authorizer["authorizer_uri"].replace("/invocations", ":by-hand/invocations")
        )(aws, authorizer),
    },
    "aws_apigatewayv2_integration": {
        "timeout": lambda aws, integration: aws.apigatewayv2.update_integration(
            ApiId=integration["api_id"], IntegrationId=integration["id"], TimeoutInMillis=50
        ),
    },
    "aws_apigatewayv2_route": {
        "target": point_elsewhere,
        "key": lambda aws, route: aws.apigatewayv2.update_route(
            ApiId=route["api_id"], RouteId=route["id"], RouteKey="by-hand"
        ),
    },
    "aws_apigatewayv2_stage": {
        "throttling": with_stage(DefaultRouteSettings={"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 1.0}),
        "throttling of a route": with_stage(
            RouteSettings={"sendmessage": {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 1.0}}
        ),
        "automatic deployment": with_stage(AutoDeploy=False),
        "logging": with_stage(DefaultRouteSettings={"LoggingLevel": "INFO", "DataTraceEnabled": True}),
        "variables": with_stage(StageVariables={"by": "hand"}),
    },
    "aws_cloudwatch_dashboard": {
        "body": lambda aws, board: aws.cloudwatch.put_dashboard(
            DashboardName=board["dashboard_name"], DashboardBody=json.dumps({"widgets": []})
        ),
    },
    "aws_cloudwatch_log_group": {
        "retention": lambda aws, group: aws.logs.put_retention_policy(logGroupName=group["name"], retentionInDays=1),
        "key": lambda aws, group: aws.logs.disassociate_kms_key(logGroupName=group["name"]),
        "tags": lambda aws, group: aws.logs.tag_resource(resourceArn=group["arn"], tags={"by": "hand"}),
    },
    "aws_cloudwatch_metric_alarm": {
        "threshold": with_alarm(Threshold=99.0),
        "datapoints": with_alarm(DatapointsToAlarm=1, EvaluationPeriods=9),
        "missing data": with_alarm(TreatMissingData="breaching"),
        "topic": with_alarm(AlarmActions=[]),
        "metrics": with_alarm(Metrics=[METRIC_BY_HAND]),
        "actions": lambda aws, alarm: aws.cloudwatch.disable_alarm_actions(AlarmNames=[alarm["alarm_name"]]),
        "tags": lambda aws, alarm: aws.cloudwatch.tag_resource(
            ResourceARN=alarm["arn"], Tags=[{"Key": "by", "Value": "hand"}]
        ),
    },
    "aws_cloudwatch_query_definition": {
        "text": with_query(queryString="limit 1"),
        "logs": with_query(logGroupNames=[]),
        "name": with_query(name="by-hand"),
    },
    "aws_dynamodb_table": {
        "expiry": lambda aws, table: aws.dynamodb.update_time_to_live(
            TableName=table["name"], TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at"}
        ),
        "recovery": switch_recovery,
        "deletion protection": with_table(DeletionProtectionEnabled=True),
        "billing": with_table(
            BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
        ),
        "tags": lambda aws, table: aws.dynamodb.tag_resource(
            ResourceArn=table["arn"], Tags=[{"Key": "by", "Value": "hand"}]
        ),
    },
    "aws_iam_role": {
        "trust": lambda aws, role: iam(aws).update_assume_role_policy(
            RoleName=role["name"], PolicyDocument=document(ANY_TRUST)
        ),
        "boundary": lambda aws, role: iam(aws).delete_role_permissions_boundary(RoleName=role["name"]),
        "tags": lambda aws, role: iam(aws).tag_role(RoleName=role["name"], Tags=[{"Key": "by", "Value": "hand"}]),
    },
    "aws_iam_role_policy": {
        "document": lambda aws, policy: iam(aws).put_role_policy(
            RoleName=policy["role"], PolicyName=policy["name"], PolicyDocument=ANYTHING
        ),
    },
    "aws_iam_role_policies_exclusive": {
        "one more": lambda aws, role: iam(aws).put_role_policy(
            RoleName=role["role_name"], PolicyName="by-hand", PolicyDocument=ANYTHING
        ),
    },
    "aws_iam_role_policy_attachments_exclusive": {"one more": attach_a_policy},
    "aws_lambda_alias": {
        "version": with_alias(FunctionVersion="$LATEST"),
        "description": with_alias(Description="by hand"),
    },
    "aws_lambda_provisioned_concurrency_config": {
        "number": lambda aws, config: aws.functions.put_provisioned_concurrency_config(
            FunctionName=config["function_name"],
            Qualifier=config["qualifier"],
            ProvisionedConcurrentExecutions=config["provisioned_concurrent_executions"] + 1,
        ),
    },
    "aws_lambda_event_source_mapping": {
        "batch size": with_mapping(BatchSize=1),
        "filters": with_mapping(FilterCriteria={"Filters": [{"Pattern": "{}"}]}),
        "disabled": with_mapping(Enabled=False),
        "concurrency": with_mapping(ScalingConfig={"MaximumConcurrency": 2}),
    },
    "aws_lambda_function": {
        "environment": with_function(Environment={"Variables": {"ROOMCAST_PACE": "1"}}),
        "memory": with_function(MemorySize=128),
        "timeout": with_function(Timeout=1),
        "handler": with_function(Handler="by.hand"),
        "concurrency": lambda aws, function: aws.functions.put_function_concurrency(
            FunctionName=function["function_name"], ReservedConcurrentExecutions=1
        ),
        "tags": lambda aws, function: aws.functions.tag_resource(Resource=function["arn"], Tags={"by": "hand"}),
    },
    "aws_lambda_permission": {"source": widen_permission},
    "aws_scheduler_schedule": {
        "rate": with_schedule(ScheduleExpression="rate(1 day)"),
        "disabled": with_schedule(State="DISABLED"),
    },
    "aws_sqs_queue": {
        "visibility timeout": with_queue("VisibilityTimeout", "1"),
        "retention": with_queue("MessageRetentionPeriod", "60"),
        "dead letters": with_queue("RedrivePolicy"),
        "encryption": with_queue("SqsManagedSseEnabled", "false"),
        "tags": lambda aws, queue: aws.sqs.tag_queue(QueueUrl=queue["url"], Tags={"by": "hand"}),
    },
    "aws_sqs_queue_policy": {
        "statement": lambda aws, policy: with_queue(
            "Policy", document({**ANY_CALLER, "Resource": json.loads(policy["policy"])["Statement"][0]["Resource"]})
        )(aws, policy),
    },
    "aws_sqs_queue_redrive_allow_policy": {
        "permission": with_queue("RedriveAllowPolicy", json.dumps({"redrivePermission": "allowAll"})),
    },
    "aws_ssm_parameter": {
        "value": lambda aws, parameter: parameters(aws).put_parameter(
            Name=parameter["name"], Value="{}", Overwrite=True
        ),
        "tags": lambda aws, parameter: parameters(aws).add_tags_to_resource(
            ResourceType="Parameter", ResourceId=parameter["name"], Tags=[{"Key": "by", "Value": "hand"}]
        ),
    },
}
"""Functions that change an object of a type, by the attribute."""

ONLY = {("aws_sqs_queue", "dead letters"): ".messages"}
"""Part of the addresses of the objects that a change is possible for."""

UNSEEN = {
    "aws_s3_object": "its key holds the digest, and Lambda keeps its own copy; check `function_runs_its_zip` warns",
}
"""Types of which a change by hand is in no plan, and why."""
