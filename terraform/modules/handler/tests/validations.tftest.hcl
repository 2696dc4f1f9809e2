# One run per validation: a bad value is refused at plan.

mock_provider "aws" {}

variables {
  filename = "connect.zip"
  handler  = "connect.handler"
  name     = "roomcast-connect"
  policy   = "{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"dynamodb:Query\", \"Resource\": \"*\"}]}"
}

run "architecture_takes_what_lambda_offers" {
  command = plan

  variables {
    architecture = "riscv64"
  }

  expect_failures = [var.architecture]
}

run "code_revision_takes_no_spaces" {
  command = plan

  variables {
    code_revision = "once more"
  }

  expect_failures = [var.code_revision]
}

run "description_takes_256_characters" {
  command = plan

  variables {
    description = format("%257s", "-")
  }

  expect_failures = [var.description]
}

run "environment_takes_lambda_names_only" {
  command = plan

  variables {
    environment = { "TABLE-NAME" = "connections" }
  }

  expect_failures = [var.environment]
}

run "environment_takes_no_name_that_lambda_sets" {
  command = plan

  variables {
    environment = { AWS_REGION = "eu-central-1", TABLE_NAME = "connections" }
  }

  expect_failures = [var.environment]
}

run "environment_takes_names_that_lambda_lets_be_set" {
  command = plan

  variables {
    environment = { AWS_LAMBDA_EXEC_WRAPPER = "/opt/agent", AWS_XRAY_CONTEXT_MISSING = "LOG_ERROR", TZ = "Europe/Berlin" }
  }

  assert {
    condition     = length(aws_lambda_function.this.environment[0].variables) == 3
    error_message = "Lambda reserves not all names that begin with AWS_"
  }
}

run "snap_start_takes_no_more_than_512_mb" {
  command = plan

  variables {
    ephemeral_storage_size = 513
    snap_start             = true
  }

  expect_failures = [var.snap_start]
}

run "filename_is_needed_without_an_s3_object" {
  command = plan

  variables {
    filename = null
  }

  expect_failures = [var.filename]
}

run "filename_excludes_an_s3_object" {
  command = plan

  variables {
    s3_bucket = "zips"
    s3_key    = "connect.zip"
  }

  expect_failures = [var.filename]
}

run "filename_wants_bucket_and_key_together" {
  command = plan

  variables {
    s3_bucket = "zips"
    filename  = null
  }

  expect_failures = [var.filename]
}

run "handler_is_a_module_and_a_function" {
  command = plan

  variables {
    handler = "connect"
  }

  expect_failures = [var.handler]
}

run "invoke_permissions_take_statement_ids_only" {
  command = plan

  variables {
    invoke_permissions = { "$connect" = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/live/$connect" }
  }

  expect_failures = [var.invoke_permissions]
}

run "invoke_permissions_take_execute_api_arns_only" {
  command = plan

  variables {
    invoke_permissions = { connect = "*" }
  }

  expect_failures = [var.invoke_permissions]
}

run "log_kms_key_arn_takes_no_alias" {
  command = plan

  variables {
    log_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/key"
  }

  expect_failures = [var.log_kms_key_arn]
}

run "log_retention_days_takes_what_cloudwatch_offers" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "memory_size_starts_at_128" {
  command = plan

  variables {
    memory_size = 64
  }

  expect_failures = [var.memory_size]
}

run "name_takes_64_characters" {
  command = plan

  variables {
    name = join("", [for _ in range(65) : "x"])
  }

  expect_failures = [var.name]
}

run "permissions_boundary_arn_is_a_policy" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:role/boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "policy_is_a_policy_document" {
  command = plan

  variables {
    policy = "{}"
  }

  expect_failures = [var.policy]
}

run "reserved_concurrency_is_not_negative" {
  command = plan

  variables {
    reserved_concurrency = -1
  }

  expect_failures = [var.reserved_concurrency]
}

run "runtime_is_python" {
  command = plan

  variables {
    runtime = "nodejs22.x"
  }

  expect_failures = [var.runtime]
}

run "s3_bucket_takes_bucket_names_only" {
  command = plan

  variables {
    s3_bucket = "My_Zips"
    s3_key    = "connect.zip"
    filename  = null
  }

  expect_failures = [var.s3_bucket]
}

run "s3_key_is_not_empty" {
  command = plan

  variables {
    s3_key    = ""
    s3_bucket = "zips"
    filename  = null
  }

  expect_failures = [var.s3_key]
}

run "source_code_hash_is_base64" {
  command = plan

  variables {
    source_code_hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  }

  expect_failures = [var.source_code_hash]
}

run "tags_take_no_reserved_keys" {
  command = plan

  variables {
    tags = { "aws:owner" = "me" }
  }

  expect_failures = [var.tags]
}

run "timeout_ends_at_900" {
  command = plan

  variables {
    timeout = 901
  }

  expect_failures = [var.timeout]
}

run "kms_key_arn_takes_no_alias" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/chat"
  }

  expect_failures = [var.kms_key_arn]
}

run "invoker_principals_are_named" {
  command = plan

  variables {
    invoker_principals = ["arn:aws:iam::111122223333:group/all"]
  }

  expect_failures = [var.invoker_principals]
}

run "environment_of_4096_bytes_is_taken" {
  command = plan

  variables {
    environment = { AA = join("", [for number in range(1019) : "éé"]), BC = "123" }
  }

  assert {
    condition     = local.environment_bytes == 4096
    error_message = "Lambda takes 4096 bytes"
  }
}

run "environment_ends_at_4096_bytes" {
  command = plan

  variables {
    environment = { AA = join("", [for number in range(1019) : "éé"]), BC = "1234" }
  }

  expect_failures = [aws_lambda_function.this]
}
