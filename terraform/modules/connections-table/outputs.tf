# An existing table's outputs are of its ARN, because its data source is unknown while the module waits for something by
# `depends_on`. Callers wait until the table was looked at.

output "table_arn" {
  description = "ARN of the table."
  value       = nonsensitive(var.existing_table == null) ? aws_dynamodb_table.this[0].arn : nonsensitive(var.existing_table.arn)
  depends_on  = [data.aws_dynamodb_table.existing]
}

output "table_name" {
  description = "Name of the table."
  value       = nonsensitive(var.existing_table == null) ? aws_dynamodb_table.this[0].name : nonsensitive(split("/", var.existing_table.arn)[1])
  depends_on  = [data.aws_dynamodb_table.existing]
}
