mock_provider "aws" {
  mock_data "aws_dynamodb_table" {
    defaults = {
      arn       = "arn:aws:dynamodb:eu-central-1:111122223333:table/members"
      attribute = [{ name = "partition_key", type = "S" }, { name = "sort_key", type = "S" }]
      hash_key  = "partition_key"
      range_key = "sort_key"
      ttl       = [{ attribute_name = "expires_at", enabled = true }]
    }
  }
}

variables {
  name = "connections"
}

run "table_is_ready_for_membership" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.this[0].hash_key == "partition_key" && aws_dynamodb_table.this[0].range_key == "sort_key"
    error_message = "the keys are partition_key and sort_key"
  }

  assert {
    condition     = toset([for attribute in aws_dynamodb_table.this[0].attribute : "${attribute.name} ${attribute.type}"]) == toset(["partition_key S", "sort_key S"])
    error_message = "both keys are strings"
  }

  assert {
    condition     = aws_dynamodb_table.this[0].billing_mode == "PAY_PER_REQUEST"
    error_message = "the table is billed on demand"
  }

  assert {
    condition     = aws_dynamodb_table.this[0].ttl[0].enabled && aws_dynamodb_table.this[0].ttl[0].attribute_name == "expires_at"
    error_message = "items expire at expires_at"
  }

  assert {
    condition     = aws_dynamodb_table.this[0].server_side_encryption[0].enabled
    error_message = "the table is encrypted with a KMS key"
  }

  assert {
    condition     = aws_dynamodb_table.this[0].point_in_time_recovery[0].enabled && !aws_dynamodb_table.this[0].deletion_protection_enabled
    error_message = "by default the table can be restored and deleted"
  }

  assert {
    condition     = output.table_name == "connections"
    error_message = "the output is the table's name"
  }
}

run "table_takes_what_the_caller_chose" {
  command = plan

  variables {
    deletion_protection    = true
    kms_key_arn            = "arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    point_in_time_recovery = false
    tags                   = { team = "chat" }
  }

  assert {
    condition     = aws_dynamodb_table.this[0].deletion_protection_enabled && !aws_dynamodb_table.this[0].point_in_time_recovery[0].enabled
    error_message = "deletion protection and recovery are as given"
  }

  assert {
    condition     = aws_dynamodb_table.this[0].server_side_encryption[0].kms_key_arn == var.kms_key_arn
    error_message = "the table is encrypted with the caller's key"
  }

  assert {
    condition     = aws_dynamodb_table.this[0].tags.team == "chat"
    error_message = "the table is tagged"
  }
}

run "existing_table_takes_the_place_of_one_of_its_own" {
  variables {
    existing_table = { arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/members" }
  }

  assert {
    condition     = length(aws_dynamodb_table.this) == 0 && data.aws_dynamodb_table.existing[0].name == "members"
    error_message = "nothing is made, and the table is looked at"
  }

  assert {
    condition     = output.table_name == "members" && output.table_arn == "arn:aws:dynamodb:eu-central-1:111122223333:table/members"
    error_message = "the outputs are the table's"
  }
}

run "existing_table_may_be_sensitive" {
  command = plan

  variables {
    existing_table = sensitive({ arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/members" })
  }

  assert {
    condition     = !issensitive(output.table_name) && !issensitive(output.table_arn)
    error_message = "the outputs are shown, because they are in names and policies"
  }
}

run "table_of_another_account_or_region_is_refused" {
  command = plan

  variables {
    existing_table = { arn = "arn:aws:dynamodb:eu-central-1:444455556666:table/members" }
  }

  expect_failures = [data.aws_dynamodb_table.existing]
}

run "table_with_other_keys_is_refused" {
  command = plan

  variables {
    existing_table = { arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/members" }
  }

  override_data {
    target = data.aws_dynamodb_table.existing

    values = {
      arn       = "arn:aws:dynamodb:eu-central-1:111122223333:table/members"
      hash_key  = "id"
      range_key = "sort_key"
      attribute = [{ name = "id", type = "S" }, { name = "sort_key", type = "S" }]
      ttl       = [{ attribute_name = "expires_at", enabled = true }]
    }
  }

  expect_failures = [data.aws_dynamodb_table.existing]
}

run "table_with_a_key_of_numbers_is_refused" {
  command = plan

  variables {
    existing_table = { arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/members" }
  }

  override_data {
    target = data.aws_dynamodb_table.existing

    values = {
      arn       = "arn:aws:dynamodb:eu-central-1:111122223333:table/members"
      hash_key  = "partition_key"
      range_key = "sort_key"
      attribute = [{ name = "partition_key", type = "S" }, { name = "sort_key", type = "N" }]
      ttl       = [{ attribute_name = "expires_at", enabled = true }]
    }
  }

  expect_failures = [data.aws_dynamodb_table.existing]
}

run "table_with_rows_that_stay_is_refused" {
  command = plan

  variables {
    existing_table = { arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/members" }
  }

  override_data {
    target = data.aws_dynamodb_table.existing

    values = {
      arn       = "arn:aws:dynamodb:eu-central-1:111122223333:table/members"
      hash_key  = "partition_key"
      range_key = "sort_key"
      attribute = [{ name = "partition_key", type = "S" }, { name = "sort_key", type = "S" }]
      ttl       = [{ attribute_name = "expires_at", enabled = false }]
    }
  }

  expect_failures = [data.aws_dynamodb_table.existing]
}

run "table_with_rows_that_expire_by_another_attribute_is_refused" {
  command = plan

  variables {
    existing_table = { arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/members" }
  }

  override_data {
    target = data.aws_dynamodb_table.existing

    values = {
      arn       = "arn:aws:dynamodb:eu-central-1:111122223333:table/members"
      hash_key  = "partition_key"
      range_key = "sort_key"
      attribute = [{ name = "partition_key", type = "S" }, { name = "sort_key", type = "S" }]
      ttl       = [{ attribute_name = "ttl", enabled = true }]
    }
  }

  expect_failures = [data.aws_dynamodb_table.existing]
}
