# No point-in-time recovery: messages are kept for days at most, and a restored table would give their numbers again.
resource "aws_dynamodb_table" "this" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  deletion_protection_enabled = var.deletion_protection
  hash_key                    = "partition_key"
  range_key                   = "sort_key"
  tags                        = var.tags

  attribute {
    name = "partition_key"
    type = "S"
  }

  attribute {
    name = "sort_key"
    type = "S"
  }

  point_in_time_recovery {
    enabled = false
  }

  # DynamoDB always encrypts at rest. Without a key, `true` selects the account's managed key `aws/dynamodb`.
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }
}
