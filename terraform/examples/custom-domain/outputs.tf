output "hosted_zone_id" {
  description = "Hosted zone of `target_domain_name`, for an alias record."
  value       = module.domain.hosted_zone_id
}

output "target_domain_name" {
  description = "Host name that the domain must resolve to."
  value       = module.domain.target_domain_name
}

output "websocket_url" {
  description = "URL that clients connect to."
  value       = module.domain.websocket_url
}
