output "access_log_group_name" {
  description = "Name of the stage's access log group, or null."
  value       = module.backend.access_log_group_name
}

output "alias_arns" {
  description = "ARNs of the aliases `live` of all functions by handler: what API Gateway and the queues invoke. The other outputs are ARNs of the unqualified functions, which run what was uploaded last."
  value       = module.backend.alias_arns
}

output "api_id" {
  description = "Id of the API."
  value       = module.backend.api_id
}

output "authorizer_source_arn" {
  description = "ARN of the Lambda authorizer: the source ARN of the permission to invoke its function. Null without an authorizer."
  value       = module.backend.authorizer_source_arn
}

output "connect_function_arn" {
  description = "ARN of the function behind `$connect`."
  value       = module.backend.connect_function_arn
}

output "connections_table_arn" {
  description = "ARN of the connections table."
  value       = module.backend.connections_table_arn
}

output "connections_table_name" {
  description = "Name of the connections table."
  value       = module.backend.connections_table_name
}

output "default_function_arn" {
  description = "ARN of the function behind `$default`."
  value       = module.backend.default_function_arn
}

output "disconnect_function_arn" {
  description = "ARN of the function behind `$disconnect`."
  value       = module.backend.disconnect_function_arn
}

output "fanout_dead_letter_queue_url" {
  description = "URL of the dead-letter queue, or null without queued delivery."
  value       = module.backend.fanout_dead_letter_queue_url
}

output "fanout_queue_url" {
  description = "URL of the fan-out queue, or null without queued delivery."
  value       = module.backend.fanout_queue_url
}

output "fanout_worker_function_arn" {
  description = "ARN of the function that serves the fan-out queue, or null without queued delivery."
  value       = module.backend.fanout_worker_function_arn
}

output "function_arns" {
  description = "ARNs of all functions by handler."
  value       = module.backend.function_arns
}

output "history_table_arn" {
  description = "ARN of the history table, or null without rooms that keep messages."
  value       = module.backend.history_table_arn
}

output "history_table_name" {
  description = "Name of the history table, or null without rooms that keep messages."
  value       = module.backend.history_table_name
}

output "kick_function_arn" {
  description = "ARN of the function that throws out clients, or null without it."
  value       = module.backend.kick_function_arn
}

output "log_group_names" {
  description = "Names of the functions' log groups by handler."
  value       = module.backend.log_group_names
}

output "management_endpoint" {
  description = "Base URL of the functions' `@connections` calls."
  value       = module.backend.management_endpoint
}

output "presence_dead_letter_queue_url" {
  description = "URL of the presence queue's dead-letter queue, or null without rooms that tell who comes and goes."
  value       = module.backend.presence_dead_letter_queue_url
}

output "presence_queue_url" {
  description = "URL of the presence queue, or null without rooms that tell who comes and goes."
  value       = module.backend.presence_queue_url
}

output "publish_dead_letter_queue_url" {
  description = "URL of the dead-letter queue of messages to publish, or null without that queue."
  value       = module.backend.publish_dead_letter_queue_url
}

output "publish_function_arn" {
  description = "ARN of the function that publishes messages, or null without it."
  value       = module.backend.publish_function_arn
}

output "publish_queue_arn" {
  description = "ARN of the queue of messages to publish, or null without it."
  value       = module.backend.publish_queue_arn
}

output "publish_queue_url" {
  description = "URL of the queue of messages to publish, or null without it."
  value       = module.backend.publish_queue_url
}

output "sendmessage_function_arn" {
  description = "ARN of the function behind `sendmessage`."
  value       = module.backend.sendmessage_function_arn
}

output "shards_per_room" {
  description = "Number of partitions that hold a room's members."
  value       = module.backend.shards_per_room
}

output "stage_execution_arn" {
  description = "ARN prefix of the stage. Your own function may send to clients with `execute-api:ManageConnections` on this prefix and `/POST/@connections/*`."
  value       = module.backend.stage_execution_arn
}

output "stage_name" {
  description = "Name of the stage."
  value       = module.backend.stage_name
}

output "sweeper_schedule_name" {
  description = "Name of the schedule of EventBridge Scheduler that invokes the sweeper, or null without it."
  value       = module.backend.sweeper_schedule_name
}

output "stage_parameter_name" {
  description = "Name of the SSM parameter by which the command `roomcast` finds the stage."
  value       = module.backend.stage_parameter_name
}

output "websocket_url" {
  description = "URL for clients."
  value       = module.backend.websocket_url
}

output "whoami_function_arn" {
  description = "ARN of the function behind `whoami`."
  value       = module.backend.whoami_function_arn
}
