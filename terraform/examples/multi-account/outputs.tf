output "america_websocket_url" {
  description = "URL that clients of the American backend connect to."
  value       = module.america.websocket_url
}

output "europe_websocket_url" {
  description = "URL that clients of the European backend connect to."
  value       = module.europe.websocket_url
}
