# Functions find nothing under keys of another name, and rows of clients that API Gateway forgot stay without TTL.
data "aws_dynamodb_table" "existing" {
  count = nonsensitive(var.existing_table == null) ? 0 : 1 # whether there is an existing_table must be known at plan

  name = split("/", var.existing_table.arn)[1]

  lifecycle {
    postcondition {
      condition     = self.arn == var.existing_table.arn
      error_message = "existing_table must be a table of the account and the Region in which the backend is made; there, ${self.name} is ${self.arn}."
    }

    postcondition {
      condition     = self.hash_key == "partition_key" && self.range_key == "sort_key" && alltrue([for attribute in self.attribute : attribute.type == "S" if contains(["partition_key", "sort_key"], attribute.name)])
      error_message = "existing_table must have the partition key partition_key and the sort key sort_key, both texts."
    }

    postcondition {
      condition     = alltrue([for ttl in self.ttl : ttl.enabled && ttl.attribute_name == "expires_at"]) && length(self.ttl) == 1
      error_message = "existing_table must have TTL by the attribute expires_at, or rows of connections that nothing deletes would stay for ever."
    }
  }
}

resource "aws_dynamodb_table" "this" {
  count = nonsensitive(var.existing_table == null) ? 1 : 0 # whether there is an existing_table must be known at plan

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
    enabled = var.point_in_time_recovery
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
