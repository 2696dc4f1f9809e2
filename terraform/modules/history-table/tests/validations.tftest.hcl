# One run per validation: a bad value is refused at plan.


mock_provider "aws" {}

variables {
  name = "history"
}

run "kms_key_arn_takes_no_alias" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/key"
  }

  expect_failures = [var.kms_key_arn]
}

run "name_takes_dynamodb_names_only" {
  command = plan

  variables {
    name = "my history"
  }

  expect_failures = [var.name]
}

run "tags_take_no_reserved_keys" {
  command = plan

  variables {
    tags = { "aws:owner" = "me" }
  }

  expect_failures = [var.tags]
}
