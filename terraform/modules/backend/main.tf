locals {
  shards_read = coalesce(var.shards_read, var.shards_per_room)
  table_name  = var.existing_table == null ? coalesce(var.table_name, "${var.name}-connections") : split("/", var.existing_table.arn)[1]

  # The keys become addresses, so they are shown even if the caller marks the whole map as sensitive.
  additional_routes = { for key in nonsensitive(keys(var.additional_routes)) : key => var.additional_routes[key] }

  # Routes by the ARN of the function, version or alias whose policy allows them.
  routes_by_policy = {
    for key, route in var.additional_routes :
    try(regex("functions/(.+)/invocations$", route.invoke_arn)[0], route.function_name) => key...
  }

  # Lambda's limit of a policy, without what is in it already: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
  # A statement has 220 bytes, and 65 of the API's ARN, beside the names that differ.
  crowded_policies = nonsensitive([
    for arn, keys in local.routes_by_policy : arn
    if sum([for key in keys : 285 + length(arn) + length(var.name) + length(var.stage_name) + length(key) + min(length(key), 32)]) > 20000
  ])
}

module "connections_table" {
  source = "../connections-table"

  name                   = local.table_name
  deletion_protection    = var.table_deletion_protection
  existing_table         = var.existing_table
  kms_key_arn            = var.table_kms_key_arn
  point_in_time_recovery = var.point_in_time_recovery
  tags                   = var.tags
}

module "websocket_api" {
  source = "../websocket-api"

  name                     = var.name
  access_log_enabled       = var.access_log_enabled
  authorization_type       = local.has_authorizer ? "CUSTOM" : var.authorization_type
  authorizer_id            = local.authorizer_id
  default_endpoint_enabled = var.default_endpoint_enabled
  description              = "Roomcast backend ${var.name}."
  detailed_metrics_enabled = var.detailed_metrics_enabled
  execution_logging_level  = var.execution_logging_level
  ip_address_type          = var.ip_address_type
  log_kms_key_arn          = var.log_kms_key_arn
  log_retention_days       = var.log_retention_days
  redeployment_triggers    = merge(var.redeployment_triggers, local.authorizer_triggers)
  stage_name               = var.stage_name
  tags                     = var.tags
  throttling_burst_limit   = var.throttling_burst_limit
  throttling_rate_limit    = var.throttling_rate_limit

  routes = merge(
    {
      for route_key, route in local.routes : route_key => {
        integration_uri        = local.aliases[trimprefix(route_key, "$")].invoke_arn
        permission_id          = aws_lambda_permission.alias[trimprefix(route_key, "$")].id
        throttling_burst_limit = try(route.throttling_burst_limit, null)
        throttling_rate_limit  = try(route.throttling_rate_limit, null)
      }
    },
    {
      for route_key, route in var.additional_routes : route_key => {
        integration_uri        = route.invoke_arn
        permission_id          = aws_lambda_permission.additional_route[route_key].id
        throttling_burst_limit = route.throttling_burst_limit
        throttling_rate_limit  = route.throttling_rate_limit
        timeout_milliseconds   = route.timeout_milliseconds
      }
    },
  )
}

# The new function gets its permission before the route moves to it. The old one loses its permission just before the
# move: keeping it would need create_before_destroy, which Terraform would also apply to your function.
resource "aws_lambda_permission" "additional_route" {
  for_each = local.additional_routes # the keys of additional_routes must be known at plan

  action        = "lambda:InvokeFunction"
  function_name = each.value.function_name
  principal     = "apigateway.amazonaws.com"
  qualifier     = try(regex(":function:[a-zA-Z0-9_-]+:([a-zA-Z0-9_-]+)/invocations$", each.value.invoke_arn)[0], null)
  source_arn    = "${module.websocket_api.stage_execution_arn}/${each.key}"

  # Statement ids allow no other characters.
  statement_id_prefix = "${var.name}-${substr(replace(each.key, "/[^a-zA-Z0-9_-]/", "-"), 0, 32)}-"

  lifecycle {
    precondition {
      condition     = split(":", each.value.invoke_arn)[9] == split(":", module.websocket_api.stage_execution_arn)[4]
      error_message = "additional_routes must each have a function of the API's account, because only a function's own account can allow the API to invoke it. The function of the route ${each.key} is of another one."
    }
  }
}
