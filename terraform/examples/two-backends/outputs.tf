output "alerts_websocket_url" {
  description = "URL that clients of the backend with the additional route connect to."
  value       = module.alerts.websocket_url
}

output "chat_websocket_url" {
  description = "URL that clients of the other backend connect to."
  value       = module.chat.websocket_url
}
