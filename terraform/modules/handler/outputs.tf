# Callers wait until the function's policies and invoke permissions are in place.

output "arn" {
  description = "ARN of the function."
  value       = aws_lambda_function.this.arn
  depends_on  = [aws_iam_role_policy.logs, aws_iam_role_policy.task, aws_lambda_permission.this]
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
  depends_on  = [aws_iam_role_policy.logs, aws_iam_role_policy.task, aws_lambda_permission.this]
}

output "invoke_arn" {
  description = "ARN for invocations by API Gateway: the `integration_uri` of a route."
  value       = aws_lambda_function.this.invoke_arn
  depends_on  = [aws_iam_role_policy.logs, aws_iam_role_policy.task, aws_lambda_permission.this]
}

output "log_group_name" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "role_arn" {
  description = "ARN of the function's role."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of the function's role."
  value       = aws_iam_role.this.name
}

output "version" {
  description = "Number of the function's latest version, for an alias. It changes with the function's code and settings. `$LATEST` if AWS did not publish a version of them."
  value       = local.is_published ? aws_lambda_function.this.version : "$LATEST"
  depends_on  = [aws_iam_role_policy.logs, aws_iam_role_policy.task]
}
