output "access_log_group_name" {
  description = "Name of the stage's access log group, or null."
  value       = module.websocket_api.access_log_group_name
}

output "api_id" {
  description = "Id of the API."
  value       = module.websocket_api.api_id
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

output "log_group_names" {
  description = "Names of the functions' log groups by handler."
  value       = { for handler, instance in module.handler : handler => instance.log_group_name }
}

output "management_endpoint" {
  description = "Base URL of the `@connections` calls, as the functions use it."
  value       = local.management_endpoint
}

output "sendmessage_function_arn" {
  description = "ARN of the function behind `sendmessage`."
  value       = module.handler["sendmessage"].arn
}

output "stage_execution_arn" {
  description = "ARN prefix of the stage: a function of your own may send to clients with `execute-api:ManageConnections` on it and `/POST/@connections/*`."
  value       = module.websocket_api.stage_execution_arn
}

output "stage_name" {
  description = "Name of the stage."
  value       = module.websocket_api.stage_name
}

output "websocket_url" {
  description = "URL that clients connect to."
  value       = module.websocket_api.websocket_url
}

output "whoami_function_arn" {
  description = "ARN of the function behind `whoami`."
  value       = module.handler["whoami"].arn
}
