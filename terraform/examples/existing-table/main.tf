provider "aws" {}

# A table that another state may hold as well, with its own protection, backups and key. The backend brings neither the table
# nor its end.
resource "aws_dynamodb_table" "members" {
  name         = "${var.name}-members"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "partition_key"
  range_key    = "sort_key"

  attribute {
    name = "partition_key"
    type = "S"
  }

  attribute {
    name = "sort_key"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }
}

module "roomcast" {
  source = "../../modules/backend"

  name           = var.name
  existing_table = { arn = aws_dynamodb_table.members.arn }
}
