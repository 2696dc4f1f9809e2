# What the command `roomcast` knows of a stage, so that operators read no state file, which holds secrets. All names
# that follow from others are left out: a standard parameter, which costs nothing, holds 4 KB
# (https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html).

locals {
  # `roomcast doctor` compares them with the routes that there are. As many as the parameter holds beside all else.
  told_routes = length(jsonencode(keys(local.additional_routes))) <= 300 ? sort(keys(local.additional_routes)) : null

  # What an alarm looks at and when it rings, in a few digits, so that a change by hand is told.
  alarm_digests = {
    for name, alarm in local.alarms : name => substr(sha256(join("|", concat(
      [alarm.comparison, format("%.3f", alarm.threshold), join("/", alarm.points), alarm.missing, alarm.expression == null ? "" : alarm.expression],
      [for id, metric in alarm.metrics : "${id} ${metric.namespace} ${metric.name} ${metric.stat} ${alarm.period}"],
    ))), 0, 6)
  }

  stage_parameter = {
    v                              = 1
    name                           = var.name
    release                        = module.zips.version
    additional_routes              = local.told_routes
    alarms                         = local.alarm_digests
    account_concurrency            = var.dashboard_enabled ? var.account_concurrency : null # where nothing uses it, it cannot be wrong
    account_requests_per_second    = var.dashboard_enabled || local.sweeper_exists ? var.account_requests_per_second : null
    access_log_group_name          = module.websocket_api.access_log_group_name
    authorization_type             = var.authorization_type
    connections_table_arn          = module.connections_table.table_arn
    fanout_dead_letter_queue_url   = one(module.fanout_queue[*].dead_letter_queue_url)
    fanout_queue_url               = one(module.fanout_queue[*].queue_url)
    history_table_arn              = local.history_table_arn
    kick_enabled                   = var.kick_enabled
    management_endpoint            = local.management_endpoint
    presence_dead_letter_queue_url = one(module.presence_queue[*].dead_letter_queue_url)
    presence_queue_url             = one(module.presence_queue[*].queue_url)
    publish_dead_letter_queue_url  = one(module.publish_queue[*].dead_letter_queue_url)
    publish_enabled                = var.publish_enabled
    publish_queue_url              = one(module.publish_queue[*].queue_url)
    shards_per_room                = var.shards_per_room
    shards_read                    = local.shards_read
    stage_execution_arn            = module.websocket_api.stage_execution_arn
    websocket_url                  = module.websocket_api.websocket_url

    # Digests of the code that functions should run, which are written once they do.
    functions = { for handler in keys(module.handler) : handler => lookup(module.zips.hashes, handler, null) }
  }

  # Before AWS has named anything, texts of the longest Region, partition and domain stand in place of what is unknown, so that
  # a plan knows how long the parameter can get.
  any_arn  = "arn:aws-iso-f:execute-api:us-isof-south-1:111122223333:"
  any_host = "a1b2c3d4e5.execute-api.cn-northwest-1.amazonaws.com.cn"
  any_queues = {
    fanout_dead_letter_queue_url   = local.queue_exists ? "fanout-dead-letters.fifo" : null
    fanout_queue_url               = local.queue_exists ? "fanout.fifo" : null
    presence_dead_letter_queue_url = local.presence_exists ? "presence-dead-letters" : null
    presence_queue_url             = local.presence_exists ? "presence" : null
    publish_dead_letter_queue_url  = local.publish_queue_exists ? "publish-dead-letters" : null
    publish_queue_url              = local.publish_queue_exists ? "publish" : null
  }
  longest_stage_parameter = merge(
    local.stage_parameter,
    { for output, name in local.any_queues : output => name == null ? null : "https://sqs.cn-northwest-1.amazonaws.com.cn/111122223333/${var.name}-${name}" },
    {
      access_log_group_name = nonsensitive(var.access_log_enabled) ? "/aws/apigateway/${var.name}/${var.stage_name}" : null
      connections_table_arn = "${local.any_arn}table/${local.table_name}"
      functions             = { for handler in keys(local.functions) : handler => base64encode(format("%32s", "")) } # as a SHA-256
      history_table_arn     = local.history_exists ? "${local.any_arn}table/${var.name}-history" : null
      management_endpoint   = replace(replace(coalesce(var.management_endpoint, "https://${local.any_host}/{stage_name}"), "{api_id}", "a1b2c3d4e5"), "{stage_name}", var.stage_name)
      stage_execution_arn   = "${local.any_arn}a1b2c3d4e5/${var.stage_name}"
      websocket_url         = "wss://${local.any_host}/${var.stage_name}"
    },
  )
  stage_parameter_length = nonsensitive(length(jsonencode(local.longest_stage_parameter)))
}

resource "aws_ssm_parameter" "stage" {
  name           = "/roomcast/${var.name}/${var.stage_name}"
  description    = "Where the command roomcast finds the stage. No secrets."
  type           = "String"
  insecure_value = jsonencode(local.stage_parameter)
  tags           = var.tags
  tier           = "Standard"

  lifecycle {
    precondition {
      condition     = local.stage_parameter_length <= 4096
      error_message = "The SSM parameter of the stage would have up to ${local.stage_parameter_length} characters, and a standard one holds 4096: take a shorter management_endpoint, table_name or stage_name."
    }
  }
}
