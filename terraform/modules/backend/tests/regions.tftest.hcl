# ARNs of another Region or account are refused with a sentence, before AWS refuses them half-way through an apply.

mock_provider "aws" {
  mock_data "aws_dynamodb_table" {
    defaults = {
      arn       = "arn:aws:dynamodb:us-east-1:111122223333:table/members"
      attribute = [{ name = "partition_key", type = "S" }, { name = "sort_key", type = "S" }]
      hash_key  = "partition_key"
      range_key = "sort_key"
      ttl       = [{ attribute_name = "expires_at", enabled = true }]
    }
  }

  mock_data "aws_partition" {
    defaults = {
      dns_suffix = "amazonaws.com"
      partition  = "aws"
    }
  }

  mock_data "aws_region" {
    defaults = {
      id = "eu-central-1"
    }
  }

  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "a1b2c3d4e5"
      api_endpoint  = "wss://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
      execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5"
    }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = {
      arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/roomcast-connections"
    }
  }

  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::111122223333:role/roomcast"
    }
  }

  mock_resource "aws_lambda_alias" {
    defaults = {
      arn        = "arn:aws:lambda:eu-central-1:111122223333:function:roomcast:live"
      invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:roomcast:live/invocations"
    }
  }

  mock_resource "aws_lambda_function" {
    defaults = {
      arn        = "arn:aws:lambda:eu-central-1:111122223333:function:roomcast"
      invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:roomcast/invocations"
    }
  }

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-central-1:111122223333:roomcast-fanout"
      url = "https://sqs.eu-central-1.amazonaws.com/111122223333/roomcast-fanout"
    }
  }
}

# The zips are tested in their own module.
override_module {
  target = module.zips

  outputs = {
    directory = "zips"
    hashes    = {}
    paths     = { authorizer = "zips/authorizer-arm64.zip", connect = "zips/connect.zip", default = "zips/default.zip", disconnect = "zips/disconnect.zip", fanout_worker = "zips/fanout_worker.zip", join = "zips/join.zip", kick = "zips/kick.zip", leave = "zips/leave.zip", ping = "zips/ping.zip", presence = "zips/presence.zip", publish = "zips/publish.zip", sendmessage = "zips/sendmessage.zip", sweeper = "zips/sweeper.zip", who = "zips/who.zip", whoami = "zips/whoami.zip" }
    s3_keys   = {}
    version   = ""
  }
}

run "environment_kms_key_arn_is_of_the_region" {
  command = plan

  variables {
    environment_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [data.aws_region.current]
}

run "log_kms_key_arn_is_of_the_region" {
  command = plan

  variables {
    log_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [data.aws_region.current]
}

run "queue_kms_key_arn_is_of_the_region" {
  command = plan

  variables {
    queue_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [data.aws_region.current]
}

run "table_kms_key_arn_is_of_the_region" {
  command = plan

  variables {
    table_kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [data.aws_region.current]
}

run "existing_table_is_of_the_region" {
  command = plan

  variables {
    existing_table = { arn = "arn:aws:dynamodb:us-east-1:111122223333:table/members" }
  }

  expect_failures = [data.aws_region.current]
}

run "code_signing_is_of_the_region" {
  command = plan

  variables {
    function_defaults = { code_signing_config_arn = "arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-0123456789abcdef0" }
  }

  expect_failures = [data.aws_region.current]
}

run "layers_of_all_functions_are_of_the_region" {
  command = plan

  variables {
    function_defaults = { layers = ["arn:aws:lambda:us-east-1:111122223333:layer:agent:7"] }
  }

  expect_failures = [data.aws_region.current]
}

run "layers_of_a_function_are_of_the_region" {
  command = plan

  variables {
    functions = { connect = { layers = ["arn:aws:lambda:us-east-1:111122223333:layer:agent:7"] } }
  }

  expect_failures = [data.aws_region.current]
}

run "the_authorizer_is_of_the_region" {
  command = plan

  variables {
    authorization_type      = "CUSTOM"
    authorizer_function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:search"
  }

  expect_failures = [data.aws_region.current]
}

run "the_page_topic_is_of_the_region" {
  command = plan

  variables {
    alarms = { page_topic_arn = "arn:aws:sns:eu-west-1:111122223333:pages" }
  }

  expect_failures = [data.aws_region.current]
}

run "the_ticket_topic_is_of_the_region" {
  command = plan

  variables {
    alarms = { page_topic_arn = "arn:aws:sns:eu-central-1:111122223333:pages", ticket_topic_arn = "arn:aws:sns:eu-west-1:111122223333:tickets" }
  }

  expect_failures = [data.aws_region.current]
}

run "a_routes_function_is_of_the_region" {
  command = plan

  variables {
    additional_routes = { "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:111122223333:function:search/invocations" } }
  }

  expect_failures = [data.aws_region.current]
}

run "a_routes_invocations_are_of_the_region" {
  command = plan

  variables {
    additional_routes = { "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations" } }
  }

  expect_failures = [data.aws_region.current]
}

run "a_routes_function_is_of_the_account" {
  variables {
    additional_routes = { "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:444455556666:function:search/invocations" } }
  }

  expect_failures = [aws_lambda_permission.additional_route]
}

run "arns_of_the_region_and_a_secret_of_another_are_taken" {
  variables {
    additional_routes       = { "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations" } }
    alarms                  = { page_topic_arn = "arn:aws:sns:eu-central-1:111122223333:pages", ticket_topic_arn = "arn:aws:sns:eu-central-1:111122223333:tickets" }
    authorization_type      = "JWT"
    environment_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    jwt_audience            = ["chat"]
    jwt_issuer              = ["https://id.example.com/"]
    jwt_secret_arn          = "arn:aws:secretsmanager:eu-west-1:444455556666:secret:chat-a1B2c3"
    log_kms_key_arn         = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    table_kms_key_arn       = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = output.api_id == "a1b2c3d4e5"
    error_message = "nothing is refused"
  }
}

# Lambda's own text of a statement, for a function with names of usual lengths, has 358 bytes.
run "policy_of_a_function_has_room_for_its_routes" {
  command   = plan
  state_key = "empty"

  variables {
    additional_routes = {
      for number in range(52) : format("action-%02d", number) => {
        function_name = "router"
        invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:router/invocations"
      }
    }
  }

  assert {
    condition     = length(local.crowded_policies) == 0 && length(aws_lambda_permission.additional_route) == 52
    error_message = "52 statements of this length fit"
  }
}

run "more_routes_than_the_policy_of_a_function_holds_are_refused" {
  command   = plan
  state_key = "empty"

  variables {
    additional_routes = {
      for number in range(60) : format("action-%02d", number) => {
        function_name = "router"
        invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:router/invocations"
      }
    }
  }

  expect_failures = [terraform_data.refusals]
}

run "an_alias_has_a_policy_of_its_own" {
  command   = plan
  state_key = "empty"

  variables {
    additional_routes = {
      for number in range(60) : format("action-%02d", number) => {
        function_name = "router"
        invoke_arn    = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:router${number < 30 ? "" : ":live"}/invocations"
      }
    }
  }

  assert {
    condition     = length(local.crowded_policies) == 0 && length(local.routes_by_policy) == 2
    error_message = "half of the routes are in the alias's policy"
  }
}

run "keys_of_all_tags_differ_in_more_than_case" {
  command   = plan
  state_key = "empty"

  override_data {
    target = data.aws_default_tags.current
    values = { tags = { Team = "chat" } }
  }

  variables {
    tags = { team = "talk" }
  }

  expect_failures = [data.aws_default_tags.current]
}

run "all_tags_are_50_at_most" {
  command   = plan
  state_key = "empty"

  override_data {
    target = data.aws_default_tags.current
    values = { tags = { first = "1", second = "2" } }
  }

  variables {
    tags = { for number in range(49) : "key-${number}" => "" }
  }

  expect_failures = [data.aws_default_tags.current]
}

run "a_tag_of_both_counts_once" {
  command   = plan
  state_key = "empty"

  override_data {
    target = data.aws_default_tags.current
    values = { tags = { key-0 = "1", second = "2" } }
  }

  variables {
    tags = { for number in range(49) : "key-${number}" => "" }
  }

  assert {
    condition     = length(data.aws_default_tags.current.tags) == 2
    error_message = "the provider's tags are those of the test"
  }
}

run "names_of_roles_fit_in_the_longest_region" {
  command   = plan
  state_key = "empty"

  override_data {
    target = data.aws_region.current
    values = { id = "us-isof-south-1" }
  }

  variables {
    name    = "abcdefghijabcdefghijabcdefghijabcdefghij"
    sweeper = { enabled = true }
  }

  assert {
    condition     = length(aws_iam_role.schedule[0].name) == 64
    error_message = "IAM takes 64 characters"
  }
}

run "names_of_roles_stay_whole_where_they_fit" {
  command   = plan
  state_key = "empty"

  variables {
    sweeper = { enabled = true }
  }

  assert {
    condition     = aws_iam_role.schedule[0].name == "roomcast-schedule-eu-central-1"
    error_message = "the role is found by its name"
  }
}

# ARNs and URLs are unknown in these plans.
run "parameter_of_the_stage_has_room_for_the_longest_name_of_a_table" {
  command   = plan
  state_key = "empty"

  variables {
    kick_enabled          = true
    management_endpoint   = "https://ws.example.com/chat"
    publish_enabled       = true
    publish_queue_enabled = true
    queued_delivery       = { enabled = true }
    sweeper               = { enabled = true }
    table_name            = join("", [for _ in range(51) : "table"])
  }

  assert {
    condition     = local.stage_parameter_length < 4096
    error_message = "a usual stage has room"
  }
}

run "parameter_of_the_stage_that_gets_too_long_is_refused" {
  command   = plan
  state_key = "empty"

  variables {
    kick_enabled          = true
    management_endpoint   = "https://ws.example.com/${join("", [for _ in range(300) : "a-long-one"])}"
    publish_enabled       = true
    publish_queue_enabled = true
    queued_delivery       = { enabled = true }
    sweeper               = { enabled = true }
    table_name            = join("", [for _ in range(51) : "table"])
  }

  expect_failures = [aws_ssm_parameter.stage]
}
