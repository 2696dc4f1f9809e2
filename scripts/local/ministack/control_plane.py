"""Rows of the table of corrections: requests that create, change and delete."""

from __future__ import annotations

from scripts.local.ministack.correction import Correction

CONTROL_PLANE = (
    Correction(
        "DeleteRouteSettings",
        "deletes the settings of one route",
        "deletes the stage",
        "SDK model of apigatewayv2: DeleteRouteSettings",
        "route_settings",
        "test_route_settings.py::test_only_the_routes_settings_go",
    ),
    Correction(
        "Changed tags of APIs and stages",
        "in GetApi and GetStage, too",
        "only in GetTags",
        "SDK model of apigatewayv2: TagResource",
        "tags",
        "test_tags.py::test_changed_tags_are_told_everywhere",
    ),
    Correction(
        "AssociateKmsKey, DisassociateKmsKey",
        "change the key of a log group",
        "unknown actions",
        "SDK model of logs: AssociateKmsKey",
        "log_keys",
        "test_log_keys.py::test_the_key_of_a_log_group_changes",
    ),
    Correction(
        "IAM action of an SQS batch",
        "that of the single call: `sqs:SendMessage` allows SendMessageBatch",
        "`sqs:SendMessageBatch`, which does not exist on AWS",
        "Amazon SQS API permissions: Actions and resource reference",
        "actions",
        "test_actions.py::test_a_batch_needs_the_action_of_the_single_form",
    ),
    Correction(
        "`aws:SecureTransport` in policies",
        "true: Terraform, functions and clients use TLS",
        "false, because it is reached over HTTP",
        "AWS global condition context keys",
        "conditions",
        "test_conditions.py::test_a_queue_that_refuses_requests_without_tls_serves",
    ),
    Correction(
        "Deployments",
        "snapshots: a stage does not serve later changes",
        "a stage serves every change of a route at once",
        "Deploy WebSocket APIs in API Gateway",
        "deployments",
        "test_deployments.py::test_a_stage_serves_what_was_deployed",
    ),
    Correction(
        "Automatic deployments",
        "a stage with `AutoDeploy` serves creations and updates at once, and deletions after the next such change "
        "(unverified)",
        "`AutoDeploy` is stored without effect",
        "SDK model of apigatewayv2: CreateStage",
        "deployments",
        "test_deployments.py::test_automatic_deployments_follow_creations_and_updates",
    ),
    Correction(
        "DeleteDeployment",
        "400 while a stage serves the deployment: `Active stages pointing to this deployment must be moved or deleted`",
        "deletes it",
        "Documentation of the AWS provider: aws_api_gateway_deployment",
        "deployments",
        "test_deployments.py::test_deployment_that_a_stage_serves_stays",
    ),
    Correction(
        "DeleteIntegration",
        "409 while a route names the integration",
        "deletes it",
        "Live: terraform-aws-next-js#247",
        "deployments",
        "test_deployments.py::test_integration_that_a_route_names_stays",
    ),
    Correction(
        "CreateRoute",
        "409 for a key that another route has",
        "accepts it",
        "Live: serverless#7260",
        "deployments",
        "test_deployments.py::test_a_route_key_is_taken_once",
    ),
)
