output "websocket_url" {
  description = "URL that clients connect to."
  value       = module.roomcast.websocket_url
}
