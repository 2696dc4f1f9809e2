# Changes that need two applies: a plan refuses the short cut, or makes only the first step.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = {
      dns_suffix = "amazonaws.com.cn"
      partition  = "aws-cn"
    }
  }

  mock_data "aws_region" {
    defaults = {
      id = "cn-north-1"
    }
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "a1b2c3d4e5"
      api_endpoint  = "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn"
      execution_arn = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5"
    }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = {
      arn = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/roomcast-connections"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws-cn:iam::111122223333:role/roomcast"
    }
  }

  mock_resource "aws_lambda_function" {
    defaults = {
      arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast"
      invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast/invocations"
    }
  }

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws-cn:sqs:cn-north-1:111122223333:roomcast-fanout"
      url = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/roomcast-fanout"
    }
  }
}

# The zips are tested in their own module.
override_module {
  target = module.zips

  outputs = {
    directory = "zips"
    hashes    = {}
    s3_keys   = {}
  }
}

variables {
  queued_delivery = { enabled = true }
  shards_per_room = 2
}

run "first_apply" {
  state_key = "in_use"

  variables {
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }
}

run "nothing_changed" {
  state_key = "in_use"
  command   = plan

  variables {
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = !anytrue(values(local.replaced))
    error_message = "nothing that is in use is another one"
  }
}

run "another_name_is_refused" {
  state_key = "in_use"
  command   = plan

  variables {
    name              = "other"
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [terraform_data.refusals]
}

run "another_stage_is_refused" {
  state_key = "in_use"
  command   = plan

  variables {
    stage_name        = "other"
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [terraform_data.refusals]
}

run "another_table_is_refused" {
  state_key = "in_use"
  command   = plan

  variables {
    table_name        = "other"
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [terraform_data.refusals]
}

run "taking_the_key_away_is_refused" {
  state_key = "in_use"
  command   = plan

  variables {
  }

  expect_failures = [terraform_data.refusals]
}

run "another_name_may_be_allowed" {
  state_key = "in_use"
  command   = plan

  variables {
    name              = "other"
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    allow_replacement = ["name", "table_name"]
  }
}

run "another_stage_may_be_allowed" {
  state_key = "in_use"
  command   = plan

  variables {
    stage_name        = "other"
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    allow_replacement = ["stage_name"]
  }
}

run "another_table_may_be_allowed" {
  state_key = "in_use"
  command   = plan

  variables {
    table_name        = "other"
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    allow_replacement = ["table_name"]
  }
}

run "the_key_may_go_once_that_is_allowed" {
  state_key = "in_use"
  command   = plan

  variables {
    allow_replacement = ["table_kms_key_arn"]
  }
}

run "another_key_is_taken" {
  state_key = "in_use"
  command   = plan

  variables {
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/ab12"
  }

  assert {
    condition     = local.replaced["table_kms_key_arn"] && !anytrue([for name in ["name", "stage_name", "table_name"] : local.replaced[name]])
    error_message = "the key alone is another one"
  }
}

run "an_allowed_change" {
  state_key = "in_use"

  variables {
    allow_replacement = ["stage_name"]
    stage_name        = "other"
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }
}

run "what_was_allowed_is_in_use_from_then_on" {
  state_key = "in_use"
  command   = plan

  variables {
    table_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [terraform_data.refusals]
}
