output "domain_name" {
  description = "Name of the domain, for mappings of further APIs."
  value       = aws_apigatewayv2_domain_name.this.id
}

output "hosted_zone_id" {
  description = "Hosted zone of `target_domain_name`, for an alias record in Route 53."
  value       = aws_apigatewayv2_domain_name.this.domain_name_configuration[0].hosted_zone_id
}

output "management_endpoint" {
  description = "Base URL of `@connections` calls through the domain: the `management_endpoint` of a backend whose own endpoint is off. It waits for nothing."
  value       = "https://${local.address}"
}

output "target_domain_name" {
  description = "Host name that the domain must resolve to, for a DNS record elsewhere than in `dns_record`."
  value       = aws_apigatewayv2_domain_name.this.domain_name_configuration[0].target_domain_name
}

output "websocket_url" {
  description = "URL for clients."
  value       = "wss://${local.address}"
  depends_on  = [aws_apigatewayv2_api_mapping.this, aws_route53_record.this]
}
