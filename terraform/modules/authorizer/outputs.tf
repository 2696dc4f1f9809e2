# A route waits until its authorizer may invoke the function.
output "authorizer_id" {
  description = "Id of the authorizer, for the route `$connect`."
  value       = aws_apigatewayv2_authorizer.this.id
  depends_on  = [aws_lambda_permission.alias, aws_lambda_permission.this]
}

# An empty set of identity sources is null in the provider's state until the next refresh, hence the variable.
output "redeployment_trigger" {
  description = "Digest of all attributes of the authorizer. A change of it must deploy the API again."
  value = sha256(jsonencode([
    aws_apigatewayv2_authorizer.this.authorizer_type,
    aws_apigatewayv2_authorizer.this.authorizer_uri,
    aws_apigatewayv2_authorizer.this.id,
    var.identity_sources,
    aws_apigatewayv2_authorizer.this.name,
  ]))
}

output "source_arn" {
  description = "ARN of the authorizer: the source ARN of a permission to invoke the function."
  value       = "${var.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.this.id}"
}
