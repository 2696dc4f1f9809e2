mock_provider "aws" {
  mock_data "aws_region" {
    defaults = {
      id = "eu-central-1"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/lambda/roomcast-connect"
    }
  }

  mock_resource "aws_lambda_function" {
    defaults = {
      arn         = "arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast-connect"
      code_sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::111122223333:role/roomcast-connect-eu-central-1"
      id  = "roomcast-connect-eu-central-1"
    }
  }
}

variables {
  filename = "connect.zip"
  handler  = "connect.handler"
  name     = "roomcast-connect"
  policy   = "{\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"dynamodb:Query\", \"Resource\": \"*\"}]}"
}

run "version_of_what_was_uploaded_last_is_the_one_to_serve" {
  state_key = "version_of_what_was_uploaded_last_is_the_one_to_serve"

  variables {
    environment = { ROOMCAST_PACE = "10" }
  }

  override_resource {
    target = aws_lambda_function.this

    values = {
      arn         = "arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast-connect"
      code_sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
      version     = "4"
    }
  }

  override_data {
    target = data.aws_lambda_function.latest_version

    values = {
      architectures     = ["arm64"]
      code_sha256       = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
      description       = ""
      environment       = [{ variables = { ROOMCAST_PACE = "10" } }]
      ephemeral_storage = [{ size = 512 }]
      handler           = "connect.handler"
      kms_key_arn       = ""
      layers            = []
      logging_config    = [{ application_log_level = "", log_format = "Text", log_group = "/aws/lambda/roomcast-connect", system_log_level = "" }]
      memory_size       = 256
      role              = "arn:aws:iam::111122223333:role/roomcast-connect-eu-central-1"
      runtime           = "python3.13"
      timeout           = 10
      tracing_config    = [{ mode = "PassThrough" }]
      vpc_config        = []
    }
  }

  assert {
    condition     = aws_lambda_function.this.publish && output.version == "4" && data.aws_lambda_function.latest_version.qualifier == "4"
    error_message = "each change is published"
  }
}

run "change_that_was_not_published_is_served_as_it_was_uploaded" {
  state_key = "change_that_was_not_published_is_served_as_it_was_uploaded"

  variables {
    environment = { ROOMCAST_PACE = "10" }
  }

  override_resource {
    target = aws_lambda_function.this

    values = {
      arn         = "arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast-connect"
      code_sha256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
      version     = "4"
    }
  }

  override_data {
    target = data.aws_lambda_function.latest_version

    values = {
      architectures     = ["arm64"]
      code_sha256       = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
      description       = ""
      environment       = [{ variables = { ROOMCAST_PACE = "20" } }]
      ephemeral_storage = [{ size = 512 }]
      handler           = "connect.handler"
      kms_key_arn       = ""
      layers            = []
      logging_config    = [{ application_log_level = "", log_format = "Text", log_group = "/aws/lambda/roomcast-connect", system_log_level = "" }]
      memory_size       = 256
      role              = "arn:aws:iam::111122223333:role/roomcast-connect-eu-central-1"
      runtime           = "python3.13"
      timeout           = 10
      tracing_config    = [{ mode = "PassThrough" }]
      vpc_config        = []
    }
  }

  assert {
    condition     = output.version == "$LATEST"
    error_message = "a version from before the change does not count"
  }
}

run "function_runs_the_code_with_a_role_of_its_own" {
  variables {
    architecture             = "x86_64"
    environment              = { ROOMCAST_PACE = "0" }
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
    reserved_concurrency     = 5
    source_code_hash         = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    tags                     = { team = "chat" }
  }

  assert {
    condition     = aws_lambda_function.this.filename == "connect.zip" && aws_lambda_function.this.handler == "connect.handler"
    error_message = "the function runs the zip's entry point"
  }

  assert {
    condition     = aws_lambda_function.this.runtime == "python3.13" && one(aws_lambda_function.this.architectures) == "x86_64"
    error_message = "runtime and instruction set are as asked for"
  }

  assert {
    condition     = aws_lambda_function.this.role == aws_iam_role.this.arn && aws_lambda_function.this.reserved_concurrent_executions == 5
    error_message = "the function has its own role and its reserved concurrency"
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables == tomap({ ROOMCAST_PACE = "0" })
    error_message = "the function gets the environment and nothing else"
  }

  assert {
    condition     = aws_iam_role_policy.task.policy == var.policy && aws_iam_role_policy.task.role == "roomcast-connect-eu-central-1"
    error_message = "the role has the caller's policy"
  }

  assert {
    condition     = aws_iam_role.this.permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"
    error_message = "the role is bounded"
  }

  assert {
    condition     = alltrue([for tags in [aws_lambda_function.this.tags, aws_iam_role.this.tags, aws_cloudwatch_log_group.this.tags] : tags.team == "chat"])
    error_message = "everything that can have tags has them"
  }
}

run "function_may_write_its_own_logs_and_no_others" {
  assert {
    condition     = jsondecode(aws_iam_role_policy.logs.policy).Statement[0].Resource == "arn:aws:logs:eu-central-1:111122223333:log-group:/aws/lambda/roomcast-connect:*"
    error_message = "log lines go to the function's log group alone"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.logs.policy).Statement[0].Action == ["logs:CreateLogStream", "logs:PutLogEvents"]
    error_message = "the function does not create log groups"
  }

  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_group == "/aws/lambda/roomcast-connect" && aws_lambda_function.this.logging_config[0].log_format == "Text"
    error_message = "the function's lines reach its log group as printed"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "log lines are kept for 30 days"
  }
}

run "nobody_may_invoke_the_function_by_default" {
  command = plan

  assert {
    condition     = length(aws_lambda_permission.this) == 0
    error_message = "without a source there is no permission"
  }
}

run "exactly_the_given_sources_may_invoke_the_function" {
  variables {
    invoke_permissions = {
      connect = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/live/$connect"
    }
  }

  assert {
    condition     = length(aws_lambda_permission.this) == 1 && aws_lambda_permission.this["connect"].source_arn == "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/live/$connect"
    error_message = "the permission is for the given source"
  }

  assert {
    condition     = aws_lambda_permission.this["connect"].principal == "apigateway.amazonaws.com" && aws_lambda_permission.this["connect"].action == "lambda:InvokeFunction"
    error_message = "API Gateway may invoke the function"
  }
}

run "code_comes_from_s3_if_so_given" {
  command = plan

  variables {
    filename  = null
    s3_bucket = "zips"
    s3_key    = "connect.zip"
  }

  assert {
    condition     = aws_lambda_function.this.s3_bucket == "zips" && aws_lambda_function.this.s3_key == "connect.zip" && aws_lambda_function.this.filename == null
    error_message = "the function runs the object's code"
  }
}

run "short_role_name_says_function_and_region" {
  command = plan

  assert {
    condition     = aws_iam_role.this.name == "roomcast-connect-eu-central-1"
    error_message = "the role is named after function and Region"
  }
}

run "long_role_name_is_cut_and_hashed" {
  command = plan

  variables {
    name = "a-function-whose-name-takes-all-of-the-64-characters-that-it-may"
  }

  assert {
    condition     = length(aws_iam_role.this.name) == 64 && startswith(aws_iam_role.this.name, "a-function-whose-name-takes-all-of-the-64-characters-th")
    error_message = "the role's name fits IAM's 64 characters"
  }

  assert {
    condition     = endswith(aws_iam_role.this.name, substr(sha256("${var.name}-eu-central-1"), 0, 8))
    error_message = "the hash includes the part that was cut off"
  }
}

run "largest_values_reach_lambda" {
  command = plan

  variables {
    description          = format("%256s", "d")
    log_retention_days   = 3653
    memory_size          = 10240
    reserved_concurrency = 100000
    timeout              = 900
  }

  assert {
    condition     = aws_lambda_function.this.memory_size == 10240 && aws_lambda_function.this.timeout == 900 && aws_lambda_function.this.reserved_concurrent_executions == 100000
    error_message = "memory, timeout and reserved concurrency are as asked for"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 3653 && aws_lambda_function.this.description == var.description
    error_message = "log lines are kept for as long as was asked for, and the description is whole"
  }
}

run "smallest_values_reach_lambda" {
  command = plan

  variables {
    log_kms_key_arn      = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    log_retention_days   = 1
    memory_size          = 128
    name                 = "r"
    reserved_concurrency = 0
    runtime              = "python3.9"
    timeout              = 1
  }

  assert {
    condition     = aws_lambda_function.this.memory_size == 128 && aws_lambda_function.this.timeout == 1 && aws_lambda_function.this.reserved_concurrent_executions == 0
    error_message = "memory, timeout and reserved concurrency are as asked for; 0 stops the function"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 1 && aws_cloudwatch_log_group.this.kms_key_id == var.log_kms_key_arn
    error_message = "log lines are kept for a day, encrypted with the given key"
  }

  assert {
    condition     = aws_lambda_function.this.runtime == "python3.9" && aws_lambda_function.this.function_name == "r" && aws_cloudwatch_log_group.this.name == "/aws/lambda/r"
    error_message = "runtime and name are as given"
  }
}

run "role_name_of_64_characters_is_whole" {
  command = plan

  variables {
    name = "a-function-whose-name-and-region-take-64-characters"
  }

  assert {
    condition     = aws_iam_role.this.name == "${var.name}-eu-central-1" && length(aws_iam_role.this.name) == 64
    error_message = "a name that fits is not cut"
  }
}

run "role_name_of_65_characters_is_cut" {
  command = plan

  variables {
    name = "a-function-whose-name-and-region-take-065-characters"
  }

  assert {
    condition     = length(aws_iam_role.this.name) == 64 && endswith(aws_iam_role.this.name, substr(sha256("${var.name}-eu-central-1"), 0, 8))
    error_message = "IAM refuses names over 64 characters"
  }
}
run "other_code_than_the_zips_is_told" {
  variables {
    source_code_hash = filebase64sha256("main.tf")
  }

  expect_failures = [check.function_runs_its_zip]
}

run "other_code_than_the_zips_is_told_under_every_revision" {
  variables {
    code_revision    = "2"
    source_code_hash = filebase64sha256("main.tf")
  }

  expect_failures = [check.function_runs_its_zip]
}

run "another_revision_uploads_the_zip_again" {
  variables {
    code_revision    = "2"
    source_code_hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
  }

  assert {
    condition     = aws_lambda_function.this.source_code_hash == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= 2"
    error_message = "the provider takes it for another zip"
  }
}

run "the_map_of_permissions_may_be_sensitive" {
  command = plan

  variables {
    invoke_permissions = sensitive({ connect = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/live/$connect" })
  }

  assert {
    condition     = keys(aws_lambda_permission.this) == ["connect"]
    error_message = "the plan shows which objects there are"
  }
}

run "named_principals_may_invoke_it" {
  variables {
    invoker_principals = ["444455556666", "arn:aws:iam::444455556666:role/shop", "cognito-idp.amazonaws.com", "s3.amazonaws.com", "states.cn-north-1.amazonaws.com.cn"]
  }

  assert {
    condition = { for key, permission in aws_lambda_permission.principal : key => "${permission.principal} ${coalesce(permission.source_account, "-")}" } == {
      "444455556666"                        = "arn:aws-cn:iam::444455556666:root -"
      "arn:aws:iam::444455556666:role/shop" = "arn:aws:iam::444455556666:role/shop -"
      "cognito-idp.amazonaws.com"           = "cognito-idp.amazonaws.com 111122223333"
      "s3.amazonaws.com"                    = "s3.amazonaws.com 111122223333"
      "states.cn-north-1.amazonaws.com.cn"  = "states.cn-north-1.amazonaws.com.cn 111122223333"
    }
    error_message = "an account is the ARN of its root, and a service acts for this account alone"
  }
}

run "no_principal_may_invoke_it_by_default" {
  command = plan

  assert {
    condition     = length(aws_lambda_permission.principal) == 0
    error_message = "only principals of the account with a right of their own may"
  }
}

run "function_is_in_no_vpc_and_not_traced_by_default" {
  command = plan

  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 0 && aws_lambda_function.this.tracing_config[0].mode == "PassThrough" && aws_lambda_function.this.ephemeral_storage[0].size == 512 && length(aws_lambda_function.this.layers) == 0 && aws_lambda_function.this.code_signing_config_arn == null
    error_message = "the function is as Lambda makes it"
  }

  assert {
    condition     = local.network_rights == "[]" && local.trace_rights == "[]"
    error_message = "Lambda may write the function's logs alone"
  }
}

run "lambda_may_connect_the_function_to_its_vpc_and_the_code_may_not" {
  variables {
    vpc = {
      subnet_ids         = ["subnet-0123456789abcdef0"]
      security_group_ids = ["sg-0123456789abcdef0"]
      ipv6_allowed       = true
    }
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-0123456789abcdef0"]) && aws_lambda_function.this.vpc_config[0].security_group_ids == toset(["sg-0123456789abcdef0"]) && aws_lambda_function.this.vpc_config[0].ipv6_allowed_for_dual_stack
    error_message = "the function is in the VPC"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.logs.policy).Statement : [statement.Sid, statement.Effect]] == [["WriteOwnLogs", "Allow"], ["ConnectToVpc", "Allow"], ["NoNetworkInterfaceForCode", "Deny"]]
    error_message = "the role has rights to network interfaces"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.logs.policy).Statement[2].Condition == { Null = { "lambda:SourceFunctionArn" = "false" } } && jsondecode(aws_iam_role_policy.logs.policy).Statement[2].Action == jsondecode(aws_iam_role_policy.logs.policy).Statement[1].Action
    error_message = "requests of the function itself have none of them"
  }
}

run "traced_function_may_write_traces" {
  variables {
    tracing_mode = "Active"
  }

  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "Active" && jsondecode(aws_iam_role_policy.logs.policy).Statement[1].Action == ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    error_message = "Lambda samples invocations and may say so"
  }
}

run "lines_of_lambda_are_json_and_none_of_the_handlers_is_dropped" {
  command = plan

  variables {
    log_format = "JSON"
  }

  assert {
    condition     = aws_lambda_function.this.logging_config[0].log_format == "JSON" && aws_lambda_function.this.logging_config[0].application_log_level == "TRACE"
    error_message = "no level is below the least severe one"
  }
}

run "versions_begin_from_snapshots_where_the_caller_wants_it" {
  command = plan

  assert {
    condition     = length(aws_lambda_function.this.snap_start) == 0
    error_message = "none by default"
  }
}

run "snapshots_are_of_published_versions" {
  command = plan

  variables {
    snap_start = true
  }

  assert {
    condition     = aws_lambda_function.this.snap_start[0].apply_on == "PublishedVersions"
    error_message = "Lambda takes them of no other"
  }
}

# A state of its own, because a role keeps its path.
run "code_signing_layers_storage_and_path_are_the_callers" {
  command   = plan
  state_key = "path"

  variables {
    code_signing_config_arn = "arn:aws:lambda:eu-central-1:111122223333:code-signing-config:csc-0123456789abcdef0"
    ephemeral_storage_size  = 1024
    layers                  = ["arn:aws:lambda:eu-central-1:444455556666:layer:agent:7"]
    role_path               = "/platform/"
  }

  assert {
    condition     = aws_lambda_function.this.code_signing_config_arn == "arn:aws:lambda:eu-central-1:111122223333:code-signing-config:csc-0123456789abcdef0" && aws_lambda_function.this.ephemeral_storage[0].size == 1024 && aws_lambda_function.this.layers == tolist(["arn:aws:lambda:eu-central-1:444455556666:layer:agent:7"]) && aws_iam_role.this.path == "/platform/"
    error_message = "each is as given"
  }
}
