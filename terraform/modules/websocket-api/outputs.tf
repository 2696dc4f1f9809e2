output "access_log_group_name" {
  description = "Name of the access log group, or null."
  value       = local.access_log_enabled ? aws_cloudwatch_log_group.access[0].name : null
}

output "api_endpoint" {
  description = "URL of the API without a stage: `wss://<api id>.execute-api.<region>.<DNS suffix>`."
  value       = aws_apigatewayv2_api.this.api_endpoint
}

output "api_id" {
  description = "Id of the API."
  value       = aws_apigatewayv2_api.this.id
}

output "deployment_id" {
  description = "Id of the deployment that the stage served at Terraform's last refresh. Every redeployment changes it."
  value       = aws_apigatewayv2_stage.this.deployment_id
}

output "execution_arn" {
  description = "ARN prefix of the API for permissions."
  value       = aws_apigatewayv2_api.this.execution_arn
}

output "snapshot" {
  description = "Digest of the ids of routes and integrations, to trigger your own deployment."
  value       = local.snapshot
}

# Built from the name, not from the stage: the functions need it in their policies, and the stage waits for them.
output "stage_execution_arn" {
  description = "ARN prefix of the stage. Add `/<route key>` for an invoke permission, `/POST/@connections/*` for permission to send."
  value       = "${aws_apigatewayv2_api.this.execution_arn}/${var.stage_name}"
}

output "stage_name" {
  description = "Name of the stage."
  value       = aws_apigatewayv2_stage.this.name
}

output "websocket_url" {
  description = "URL for clients."
  value       = aws_apigatewayv2_stage.this.invoke_url
}
