mock_provider "aws" {}

variables {
  name = "history"
}

run "table_is_ready_for_messages" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.this.hash_key == "partition_key" && aws_dynamodb_table.this.range_key == "sort_key"
    error_message = "the keys are partition_key and sort_key"
  }

  assert {
    condition     = toset([for attribute in aws_dynamodb_table.this.attribute : "${attribute.name} ${attribute.type}"]) == toset(["partition_key S", "sort_key S"])
    error_message = "both keys are strings"
  }

  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
    error_message = "the table is billed on demand"
  }

  assert {
    condition     = aws_dynamodb_table.this.ttl[0].enabled && aws_dynamodb_table.this.ttl[0].attribute_name == "expires_at"
    error_message = "items expire at expires_at"
  }

  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].enabled
    error_message = "the table is encrypted with a KMS key"
  }

  assert {
    condition     = !aws_dynamodb_table.this.point_in_time_recovery[0].enabled && !aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "the table cannot be restored, and by default it can be deleted"
  }

  assert {
    condition     = output.table_name == "history"
    error_message = "the output is the table's name"
  }
}

run "table_takes_what_the_caller_chose" {
  command = plan

  variables {
    deletion_protection = true
    kms_key_arn         = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    tags                = { team = "chat" }
  }

  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "deletion protection is as given"
  }

  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].kms_key_arn == var.kms_key_arn
    error_message = "the table is encrypted with the caller's key"
  }

  assert {
    condition     = aws_dynamodb_table.this.tags.team == "chat"
    error_message = "the table is tagged"
  }
}
