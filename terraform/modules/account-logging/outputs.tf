output "role_arn" {
  description = "ARN of the role. An API that waits for it finds the account set up."
  value       = aws_api_gateway_account.this.cloudwatch_role_arn
}
