locals {
  # The keys become addresses, so they are shown even if the caller marks the whole map as sensitive.
  routes = { for key in nonsensitive(keys(var.routes)) : key => var.routes[key] }

  throttling = {
    for route_key, route in local.routes : route_key => {
      rate_limit  = coalesce(route.throttling_rate_limit, var.throttling_rate_limit)
      burst_limit = coalesce(route.throttling_burst_limit, var.throttling_burst_limit)
    }
  }

  # Changes when a route or an integration is created, deleted or replaced, and with the API's own endpoint, which AWS turns
  # on and off with a deployment.
  snapshot = sha256(jsonencode({
    integrations = { for key, integration in aws_apigatewayv2_integration.this : key => integration.id }
    routes       = { for key, route in aws_apigatewayv2_route.this : key => route.id }
    own_endpoint = var.default_endpoint_enabled
    triggers     = var.redeployment_triggers
  }))

  # Shown even if the caller marks the variable as sensitive, because the plan shows which objects there are.
  access_log_enabled      = nonsensitive(var.access_log_enabled)
  access_log_changed      = terraform_data.access_log.input == plantimestamp() && terraform_data.access_log_remembered.input != plantimestamp()
  access_log_group_exists = local.access_log_enabled || local.access_log_changed

  # One line of JSON per request, with the names that the functions' log lines have, and without query strings, headers and
  # bodies, which hold tokens and messages. Of what an authorizer says about the client, only the principal.
  access_log_format = jsonencode(merge(local.access_log_fields, var.authorization_type == "CUSTOM" ? local.authorizer_fields : {}))

  access_log_fields = {
    request_id         = "$context.requestId"
    lambda_request_id  = "$context.integration.requestId"
    connection_id      = "$context.connectionId"
    timestamp          = "$context.requestTimeEpoch"
    event              = "$context.eventType"
    route              = "$context.routeKey"
    source_ip          = "$context.identity.sourceIp"
    status             = "$context.status"
    error              = "$context.error.responseType"
    integration_status = "$context.integration.integrationStatus"
    function_status    = "$context.integration.status"
    integration_ms     = "$context.integration.latency"
  }

  authorizer_fields = {
    authorizer_request_id = "$context.authorizer.requestId"
    authorizer_status     = "$context.authorizer.status"
    principal             = "$context.authorizer.principalId"
  }
}

resource "aws_apigatewayv2_api" "this" {
  name                         = var.name
  description                  = var.description
  disable_execute_api_endpoint = !var.default_endpoint_enabled
  ip_address_type              = var.ip_address_type
  protocol_type                = "WEBSOCKET"
  route_selection_expression   = var.route_selection_expression
  tags                         = var.tags
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = local.routes # the keys of routes must be known at plan

  api_id               = aws_apigatewayv2_api.this.id
  integration_method   = "POST"
  integration_type     = "AWS_PROXY"
  integration_uri      = each.value.integration_uri
  timeout_milliseconds = each.value.timeout_milliseconds
}

resource "aws_apigatewayv2_route" "this" {
  for_each = local.routes # the keys of routes must be known at plan

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.this[each.key].id}"

  # API Gateway authorizes only the handshake.
  authorization_type = each.key == "$connect" ? var.authorization_type : "NONE"
  authorizer_id      = each.key == "$connect" ? var.authorizer_id : null

  # API Gateway refuses to delete an integration or an authorizer that a route names, and Terraform deletes an object before
  # it updates others. So the route is replaced with its integration and with its authorizer.
  lifecycle {
    replace_triggered_by = [aws_apigatewayv2_integration.this[each.key].id, terraform_data.authorizer[each.key]]
  }
}

# Of each route, because a lifecycle rule names an object by the key of its own.
resource "terraform_data" "authorizer" {
  for_each = local.routes # the keys of routes must be known at plan

  triggers_replace = each.key == "$connect" ? var.authorizer_id : null
}

# Whether the last apply had an access log. The first of these objects is replaced when that changes, and keeps the time of
# its creation. The second, created after the first, tells a changed value from one that no apply has remembered yet.
resource "terraform_data" "access_log" {
  input            = plantimestamp()
  triggers_replace = [var.access_log_enabled]

  lifecycle {
    ignore_changes = [input]
  }
}

resource "terraform_data" "access_log_remembered" {
  input = plantimestamp()

  lifecycle {
    ignore_changes = [input]
  }

  depends_on = [terraform_data.access_log]
}

# The group stays for one apply after the log is off: Terraform would delete it before it updates the stage. API Gateway
# would make the group again then, with nothing that deletes its lines, and the next group of that name could not be created.
resource "aws_cloudwatch_log_group" "access" {
  count = local.access_log_group_exists ? 1 : 0 # access_log_enabled must be known at plan

  name              = "/aws/apigateway/${var.name}/${var.stage_name}"
  kms_key_id        = var.log_kms_key_arn
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

check "access_log_group_is_left" {
  assert {
    condition     = local.access_log_enabled || !local.access_log_group_exists
    error_message = "The access log was turned off: from this apply on, the stage writes nothing to its log group. Apply again to remove the group with its lines."
  }
}

# API Gateway deploys each change automatically. A deployment in Terraform would need create_before_destroy, which
# Terraform also applies to all its dependencies: routes, functions, roles and log groups. Their names must be unique, so
# an interrupted apply could never be completed.
#
# Both limits are always set, in the default and in every route, because API Gateway reads a missing one as 0 and refuses
# all requests. Data tracing is off in any case, because it writes messages into a log.
resource "aws_apigatewayv2_stage" "this" {
  api_id        = aws_apigatewayv2_api.this.id
  name          = var.stage_name
  auto_deploy   = var.deployment_id == null
  deployment_id = var.deployment_id
  tags          = var.tags

  default_route_settings {
    data_trace_enabled       = false
    detailed_metrics_enabled = var.detailed_metrics_enabled
    logging_level            = var.execution_logging_level
    throttling_burst_limit   = var.throttling_burst_limit
    throttling_rate_limit    = var.throttling_rate_limit
  }

  dynamic "access_log_settings" {
    for_each = local.access_log_enabled ? aws_cloudwatch_log_group.access : []

    content {
      destination_arn = access_log_settings.value.arn
      format          = local.access_log_format
    }
  }

  dynamic "route_settings" {
    for_each = local.throttling

    content {
      route_key                = route_settings.key
      data_trace_enabled       = false
      detailed_metrics_enabled = var.detailed_metrics_enabled
      logging_level            = var.execution_logging_level
      throttling_burst_limit   = route_settings.value.burst_limit
      throttling_rate_limit    = route_settings.value.rate_limit
    }
  }

  # API Gateway refuses settings of a route that does not exist.
  depends_on = [aws_apigatewayv2_route.this]
}

# AWS documents automatic deployments after updates, but not after deletions. This integration serves no route. Terraform
# updates it after it has deleted routes or integrations, and API Gateway deploys that update.
resource "aws_apigatewayv2_integration" "redeployment" {
  api_id             = aws_apigatewayv2_api.this.id
  description        = "Serves no route. Its updates deploy the API: ${local.snapshot}"
  integration_method = "POST"
  integration_type   = "AWS_PROXY"
  integration_uri    = var.routes[keys(var.routes)[0]].integration_uri

  depends_on = [aws_apigatewayv2_stage.this]
}

# The deployment of 0.1.0 stays beside the automatic ones, because a stage may serve it until the next deployment.
removed {
  from = aws_apigatewayv2_deployment.this

  lifecycle {
    destroy = false
  }
}
