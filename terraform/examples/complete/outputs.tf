output "kick_function_arn" {
  description = "Function that throws out clients."
  value       = module.roomcast.kick_function_arn
}

output "publish_function_arn" {
  description = "Function that publishes messages."
  value       = module.roomcast.publish_function_arn
}

output "publish_queue_url" {
  description = "Queue of messages to publish."
  value       = module.roomcast.publish_queue_url
}

output "websocket_url" {
  description = "URL that clients connect to."
  value       = module.roomcast.websocket_url
}
