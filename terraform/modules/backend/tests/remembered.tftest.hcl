# Changes of values in use: a plan refuses them, or makes only the first of two steps.

mock_provider "aws" {
  mock_data "aws_dynamodb_table" {
    defaults = {
      arn       = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/other"
      attribute = [{ name = "partition_key", type = "S" }, { name = "sort_key", type = "S" }]
      hash_key  = "partition_key"
      range_key = "sort_key"
      ttl       = [{ attribute_name = "expires_at", enabled = true }]
    }
  }

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

  mock_resource "aws_lambda_alias" {
    defaults = {
      arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast:live"
      invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast:live/invocations"
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
    paths     = { authorizer = "zips/authorizer-arm64.zip", connect = "zips/connect.zip", default = "zips/default.zip", disconnect = "zips/disconnect.zip", fanout_worker = "zips/fanout_worker.zip", join = "zips/join.zip", kick = "zips/kick.zip", leave = "zips/leave.zip", ping = "zips/ping.zip", presence = "zips/presence.zip", publish = "zips/publish.zip", sendmessage = "zips/sendmessage.zip", sweeper = "zips/sweeper.zip", who = "zips/who.zip", whoami = "zips/whoami.zip" }
    s3_keys   = {}
    version   = ""
  }
}

variables {
  history_rooms         = ["lobby"]
  kick_enabled          = true
  publish_queue_enabled = true
  queued_delivery       = { enabled = true }
  shards_per_room       = 2
  presence_rooms        = ["lobby"]
}

run "everything_goes_at_first" {
  assert {
    condition     = local.shards_read == 2 && length(module.fanout_queue) == 1 && local.sender_environment == local.queue_environment
    error_message = "the first apply takes any value"
  }
}

run "first_second_passes" {
  module {
    source = "./tests/fixtures/second"
  }
}

run "nothing_is_refused_that_stays" {
  command = plan

  assert {
    condition     = local.queued_before && !anytrue(values(local.changed)) && !anytrue(values(local.unsettled))
    error_message = "the values of the last apply are remembered"
  }
}

run "another_region_is_refused" {
  command = plan

  override_data {
    target = data.aws_region.current
    values = { id = "cn-northwest-1" }
  }

  expect_failures = [terraform_data.region]
}

run "queue_does_not_change_its_kind" {
  command = plan

  variables {
    queued_delivery = { enabled = true, fifo = true }
  }

  expect_failures = [terraform_data.queue]
}

run "members_are_not_written_where_senders_do_not_look_yet" {
  command = plan

  variables {
    shards_per_room = 3
  }

  expect_failures = [terraform_data.refusals]
}

run "raising_both_at_once_is_refused" {
  command = plan

  variables {
    shards_per_room = 3
    shards_read     = 3
  }

  expect_failures = [terraform_data.refusals]
}

run "senders_do_not_stop_looking_where_members_are" {
  command = plan

  variables {
    shards_per_room = 1
  }

  expect_failures = [terraform_data.refusals]
}

run "senders_look_at_least_where_members_are_written" {
  command = plan

  variables {
    shards_read = 1
  }

  expect_failures = [terraform_data.refusals]
}

run "senders_leave_the_queue_and_the_table_of_messages_first" {
  variables {
    history_rooms         = []
    kick_enabled          = false
    presence_rooms        = []
    publish_queue_enabled = false
    publisher_principals  = ["444455556666"]
    queued_delivery       = { enabled = false }
    shards_read           = 100
  }

  expect_failures = [check.history_is_removed, check.kick_is_removed, check.presence_is_removed, check.publish_queue_is_emptied, check.queue_is_emptied]

  assert {
    condition     = strcontains(local.policies["connect"], "ConditionCheckItem") && local.own_environments["connect"] == local.environment && length(local.publish_senders) == 0
    error_message = "$connect checks no denial any more and keeps the right, because Terraform changes policies before functions"
  }
}

run "second_second_passes" {
  module {
    source = "./tests/fixtures/second"
  }
}

run "queue_that_was_left_goes" {
  command = plan

  variables {
    history_rooms         = []
    kick_enabled          = false
    presence_rooms        = []
    publish_queue_enabled = false
    queued_delivery       = { enabled = false }
    shards_per_room       = 100
    shards_read           = 100
  }

  assert {
    condition     = length(module.publish_queue) == 0 && !contains(keys(module.handler), "publish") && !contains(keys(module.handler), "kick") && !strcontains(local.policies["connect"], "ConditionCheckItem")
    error_message = "the functions for backends go with the second apply, and so does the right"
  }

  assert {
    condition     = length(module.fanout_queue) == 0 && !contains(keys(module.handler), "fanout_worker") && length(local.sender_environment) == 0
    error_message = "queue and worker go once the senders have left"
  }

  assert {
    condition     = length(module.history_table) == 0 && alltrue([for policy in values(local.policies) : !strcontains(policy, "UseHistoryKey")])
    error_message = "so do the table of messages and the rights to use it"
  }

  assert {
    condition     = length(module.presence_queue) == 0 && !contains(keys(module.handler), "presence") && local.mark_presence == ""
    error_message = "so do the presence queue, its function and the rights to use it"
  }

  assert {
    condition     = local.changed["shards_per_room"] && !local.unsettled["shards_read"] && local.environment.ROOMCAST_SHARDS_PER_ROOM == "100"
    error_message = "partitions that are read may be written to"
  }
}

run "queue_that_was_left_is_used_again" {
  command = plan

  variables {
    shards_read = 100
  }

  assert {
    condition     = length(module.fanout_queue) == 1 && local.sender_environment == local.queue_environment && !local.queue_is_emptied
    error_message = "the same queue serves again"
  }
}

run "queue_that_was_left_does_not_change_its_kind" {
  command = plan

  variables {
    queued_delivery = { enabled = true, fifo = true }
    shards_read     = 100
  }

  expect_failures = [terraform_data.queue]
}

run "lowering_both_at_once_is_refused" {
  command = plan

  variables {
    shards_per_room = 1
    shards_read     = 2
  }

  expect_failures = [terraform_data.refusals]
}

run "fewer_partitions_may_be_read_than_were" {
  command = plan

  variables {
    queued_delivery = { enabled = false }
    shards_read     = 2
  }

  assert {
    condition     = local.environment.ROOMCAST_SHARDS_READ == "2"
    error_message = "two partitions hold every member, so the other 98 need not be read"
  }
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
    condition     = !anytrue(values(local.changed)) && !anytrue(values(local.unsettled))
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

run "a_table_of_your_own_is_refused" {
  state_key = "in_use"
  command   = plan

  variables {
    existing_table    = { arn = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/other" }
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
    condition     = local.changed["table_kms_key_arn"] && !anytrue([for name in ["name", "stage_name", "table_name"] : local.changed[name]])
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
