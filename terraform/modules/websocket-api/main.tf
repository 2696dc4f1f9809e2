locals {
  throttling = {
    for route_key, route in var.routes : route_key => {
      rate_limit  = coalesce(route.throttling_rate_limit, var.throttling_rate_limit)
      burst_limit = coalesce(route.throttling_burst_limit, var.throttling_burst_limit)
    }
  }

  # One line of JSON a request. No query strings, headers or bodies: they carry tokens and messages.
  access_log_format = jsonencode({
    requestId         = "$context.requestId"
    requestTimeEpoch  = "$context.requestTimeEpoch"
    eventType         = "$context.eventType"
    routeKey          = "$context.routeKey"
    connectionId      = "$context.connectionId"
    sourceIp          = "$context.identity.sourceIp"
    status            = "$context.status"
    error             = "$context.error.responseType"
    integrationStatus = "$context.integration.integrationStatus"
    functionStatus    = "$context.integration.status"
    integrationMillis = "$context.integration.latency"
  })
}

resource "aws_apigatewayv2_api" "this" {
  name                       = var.name
  description                = var.description
  protocol_type              = "WEBSOCKET"
  route_selection_expression = var.route_selection_expression
  tags                       = var.tags
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = var.routes

  api_id               = aws_apigatewayv2_api.this.id
  integration_method   = "POST"
  integration_type     = "AWS_PROXY"
  integration_uri      = each.value.integration_uri
  timeout_milliseconds = each.value.timeout_milliseconds
}

resource "aws_apigatewayv2_route" "this" {
  for_each = var.routes

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.this[each.key].id}"

  # API Gateway authorizes the handshake and nothing after it.
  authorization_type = each.key == "$connect" ? var.authorization_type : "NONE"
  authorizer_id      = each.key == "$connect" ? var.authorizer_id : null
}

# A deployment is a snapshot of the API: what belongs to the snapshot and changes makes a new one, and the plan shows
# what that was. Chosen attributes, since whole resources change once more when the provider reads them back.
resource "aws_apigatewayv2_deployment" "this" {
  api_id = aws_apigatewayv2_api.this.id

  triggers = merge(
    { route_selection_expression = aws_apigatewayv2_api.this.route_selection_expression },
    {
      for route_key, route in aws_apigatewayv2_route.this : "route ${route_key}" => jsonencode({
        authorization_type   = route.authorization_type
        authorizer_id        = coalesce(route.authorizer_id, "none")
        id                   = route.id
        integration_uri      = aws_apigatewayv2_integration.this[route_key].integration_uri
        target               = route.target
        timeout_milliseconds = aws_apigatewayv2_integration.this[route_key].timeout_milliseconds
      })
    },
  )

  # The stage moves to the new deployment before the old one goes.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "access" {
  count = var.access_log_enabled ? 1 : 0

  name              = "/aws/apigateway/${var.name}/${var.stage_name}"
  kms_key_id        = var.log_kms_key_arn
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# Both limits always, in the default and in every route: API Gateway reads a missing one as 0 and refuses everything.
resource "aws_apigatewayv2_stage" "this" {
  api_id        = aws_apigatewayv2_api.this.id
  name          = var.stage_name
  deployment_id = aws_apigatewayv2_deployment.this.id
  tags          = var.tags

  default_route_settings {
    throttling_burst_limit = var.throttling_burst_limit
    throttling_rate_limit  = var.throttling_rate_limit
  }

  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.access

    content {
      destination_arn = access_log_settings.value.arn
      format          = local.access_log_format
    }
  }

  dynamic "route_settings" {
    for_each = local.throttling

    content {
      route_key              = route_settings.key
      throttling_burst_limit = route_settings.value.burst_limit
      throttling_rate_limit  = route_settings.value.rate_limit
    }
  }
}
