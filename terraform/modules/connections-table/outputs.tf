output "table_arn" {
  description = "ARN of the table."
  value       = nonsensitive(var.existing_table == null) ? aws_dynamodb_table.this[0].arn : data.aws_dynamodb_table.existing[0].arn
}

output "table_name" {
  description = "Name of the table."
  value       = nonsensitive(var.existing_table == null) ? aws_dynamodb_table.this[0].name : data.aws_dynamodb_table.existing[0].name
}
