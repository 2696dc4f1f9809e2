output "access_log_group_name" {
  description = "Name of the stage's access log group, or null."
  value       = module.websocket_api.access_log_group_name
}

output "alias_arns" {
  description = "ARNs of the aliases `live` of all functions by handler: what API Gateway and the queues invoke. The other outputs are ARNs of the unqualified functions, which run what was uploaded last."
  value       = { for handler, alias in local.aliases : handler => alias.arn }
  depends_on  = [aws_lambda_permission.alias_principal]
}

output "api_id" {
  description = "Id of the API."
  value       = module.websocket_api.api_id
}

output "authorizer_source_arn" {
  description = "ARN of the Lambda authorizer: the source ARN of the permission to invoke its function. Null without an authorizer."
  value       = local.has_authorizer ? module.authorizer[0].source_arn : null
}

output "connect_function_arn" {
  description = "ARN of the function behind `$connect`."
  value       = module.handler["connect"].arn
}

output "connections_table_arn" {
  description = "ARN of the connections table."
  value       = module.connections_table.table_arn
}

output "connections_table_name" {
  description = "Name of the connections table."
  value       = module.connections_table.table_name
}

output "default_function_arn" {
  description = "ARN of the function behind `$default`."
  value       = module.handler["default"].arn
}

output "disconnect_function_arn" {
  description = "ARN of the function behind `$disconnect`."
  value       = module.handler["disconnect"].arn
}

output "fanout_dead_letter_queue_url" {
  description = "URL of the dead-letter queue, or null without queued delivery."
  value       = one(module.fanout_queue[*].dead_letter_queue_url)
}

output "fanout_queue_url" {
  description = "URL of the fan-out queue, or null without queued delivery."
  value       = one(module.fanout_queue[*].queue_url)
}

output "fanout_worker_function_arn" {
  description = "ARN of the function that serves the fan-out queue, or null without queued delivery."
  value       = try(module.handler["fanout_worker"].arn, null)
}

output "function_arns" {
  description = "ARNs of all functions by handler."
  value       = { for handler, instance in module.handler : handler => instance.arn }
}

output "history_table_arn" {
  description = "ARN of the history table, or null without rooms that keep messages."
  value       = local.history_table_arn
}

output "history_table_name" {
  description = "Name of the history table, or null without rooms that keep messages."
  value       = local.history_exists ? module.history_table[0].table_name : null
}

output "kick_function_arn" {
  description = "ARN of the function that throws out clients, or null without it."
  value       = try(module.handler["kick"].arn, null)
}

output "log_group_names" {
  description = "Names of the functions' log groups by handler."
  value       = { for handler, instance in module.handler : handler => instance.log_group_name }
}

output "management_endpoint" {
  description = "Base URL of the functions' `@connections` calls."
  value       = local.management_endpoint
}

output "presence_dead_letter_queue_url" {
  description = "URL of the presence queue's dead-letter queue, or null without rooms that tell who comes and goes."
  value       = one(module.presence_queue[*].dead_letter_queue_url)
}

output "presence_queue_url" {
  description = "URL of the presence queue, or null without rooms that tell who comes and goes."
  value       = one(module.presence_queue[*].queue_url)
}

output "publish_dead_letter_queue_url" {
  description = "URL of the dead-letter queue of messages to publish, or null without that queue."
  value       = one(module.publish_queue[*].dead_letter_queue_url)
}

output "publish_function_arn" {
  description = "ARN of the function that publishes messages, or null without it."
  value       = try(module.handler["publish"].arn, null)
}

output "publish_queue_arn" {
  description = "ARN of the queue of messages to publish, or null without it."
  value       = local.publish_queue_arn
}

output "publish_queue_url" {
  description = "URL of the queue of messages to publish, or null without it."
  value       = one(module.publish_queue[*].queue_url)
}

output "sendmessage_function_arn" {
  description = "ARN of the function behind `sendmessage`."
  value       = module.handler["sendmessage"].arn
}

output "shards_per_room" {
  description = "Number of partitions that hold a room's members."
  value       = var.shards_per_room
}

output "stage_execution_arn" {
  description = "ARN prefix of the stage. Your own function may send to clients with `execute-api:ManageConnections` on this prefix and `/POST/@connections/*`."
  value       = module.websocket_api.stage_execution_arn
}

output "stage_name" {
  description = "Name of the stage."
  value       = module.websocket_api.stage_name
}

output "sweeper_schedule_name" {
  description = "Name of the schedule of EventBridge Scheduler that invokes the sweeper, or null without it."
  value       = one(aws_scheduler_schedule.sweeper[*].name)
}

output "stage_parameter_name" {
  description = "Name of the SSM parameter by which the command `roomcast` finds the stage."
  value       = aws_ssm_parameter.stage.name
}

output "websocket_url" {
  description = "URL for clients."
  value       = module.websocket_api.websocket_url
}

output "whoami_function_arn" {
  description = "ARN of the function behind `whoami`."
  value       = module.handler["whoami"].arn
}
