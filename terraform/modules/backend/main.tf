data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  handlers = { for route_key, route in local.routes : route.handler => merge(route, { route_key = route_key }) }

  handler_names = concat(keys(local.handlers), local.queue_exists ? ["fanout_worker"] : [])

  # From the API's id and the stage, never from the host that a client used: a custom domain's has no such path.
  management_endpoint = replace(
    replace(
      coalesce(
        var.management_endpoint,
        "https://{api_id}.execute-api.${data.aws_region.current.id}.${data.aws_partition.current.dns_suffix}/{stage_name}",
      ),
      "{api_id}", module.websocket_api.api_id,
    ),
    "{stage_name}", var.stage_name,
  )

  environment = {
    ROOMCAST_DNS_SUFFIX          = data.aws_partition.current.dns_suffix
    ROOMCAST_LOG_LEVEL           = var.log_level
    ROOMCAST_MANAGEMENT_ENDPOINT = local.management_endpoint
    ROOMCAST_PACE                = tostring(var.pace)
    ROOMCAST_SHARDS_PER_ROOM     = tostring(var.shards_per_room)
    ROOMCAST_SHARDS_READ         = tostring(local.shards_read)
    ROOMCAST_TABLE_NAME          = module.connections_table.table_name
  }

  policy_values = {
    queue_arn           = local.queue_arn
    stage_execution_arn = module.websocket_api.stage_execution_arn
    table_arn           = module.connections_table.table_arn
    table_kms_key_arn   = var.table_kms_key_arn
  }

  policies = {
    for handler in local.handler_names :
    handler => templatefile("${path.module}/policies/${handler}.json.tftpl", local.policy_values)
  }
}

module "connections_table" {
  source = "../connections-table"

  name                   = coalesce(var.table_name, "${var.name}-connections")
  deletion_protection    = var.table_deletion_protection
  kms_key_arn            = var.table_kms_key_arn
  point_in_time_recovery = var.point_in_time_recovery
  tags                   = var.tags
}

module "handler" {
  source   = "../handler"
  for_each = local.handlers

  name                     = "${var.name}-${each.key}"
  architecture             = var.architecture
  description              = each.value.description
  environment              = each.key == "sendmessage" ? merge(local.environment, local.sender_environment) : local.environment
  filename                 = var.handlers_bucket == null ? local.zips[each.key].path : null
  handler                  = "${each.key}.handler"
  log_kms_key_arn          = var.log_kms_key_arn
  log_retention_days       = var.log_retention_days
  memory_size              = each.value.memory_size
  permissions_boundary_arn = var.permissions_boundary_arn
  policy                   = local.policies[each.key]
  s3_bucket                = var.handlers_bucket
  s3_key                   = var.handlers_bucket == null ? null : aws_s3_object.zip[each.key].key
  source_code_hash         = local.zips[each.key].hash
  tags                     = var.tags
  timeout                  = each.value.timeout

  invoke_permissions = {
    (each.key) = "${module.websocket_api.stage_execution_arn}/${each.value.route_key}"
  }
}

module "websocket_api" {
  source = "../websocket-api"

  name                   = var.name
  access_log_enabled     = var.access_log_enabled
  authorization_type     = var.authorization_type
  description            = "Roomcast backend ${var.name}."
  log_kms_key_arn        = var.log_kms_key_arn
  log_retention_days     = var.log_retention_days
  stage_name             = var.stage_name
  tags                   = var.tags
  throttling_burst_limit = var.throttling_burst_limit
  throttling_rate_limit  = var.throttling_rate_limit

  routes = merge(
    {
      for route_key, route in local.routes : route_key => {
        integration_uri        = module.handler[route.handler].invoke_arn
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

# When a route is given to another function, that one may be invoked before the API moves to it, and the old one until it
# has moved.
resource "aws_lambda_permission" "additional_route" {
  for_each = var.additional_routes

  action        = "lambda:InvokeFunction"
  function_name = each.value.function_name
  principal     = "apigateway.amazonaws.com"
  qualifier     = try(regex(":function:[a-zA-Z0-9_-]+:([a-zA-Z0-9_-]+)/invocations$", each.value.invoke_arn)[0], null)
  source_arn    = "${module.websocket_api.stage_execution_arn}/${each.key}"

  # Statement ids know no other characters.
  statement_id_prefix = "${var.name}-${substr(replace(each.key, "/[^a-zA-Z0-9_-]/", "-"), 0, 32)}-"

  lifecycle {
    create_before_destroy = true
  }
}
