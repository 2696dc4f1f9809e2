# Sensitive values, as those of SSM parameters are: the plan shows which objects there are, so it shows what they depend on.

mock_provider "aws" {
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

  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws:logs:eu-central-1:111122223333:log-group:access"
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

run "every_switch_may_be_sensitive" {
  variables {
    access_log_enabled      = sensitive(true)
    alarms                  = sensitive({ page_topic_arn = "arn:aws:sns:eu-central-1:111122223333:pages", thresholds = { posts-failed = null, unavailable = 5 } })
    additional_routes       = sensitive({ "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations" } })
    authorization_type      = sensitive("CUSTOM")
    authorizer_function_arn = sensitive("arn:aws:lambda:eu-central-1:111122223333:function:search")
    authorizer_permission   = sensitive(true)
    dashboard_enabled       = sensitive(true)
    history_rooms           = sensitive(["lobby"])
    presence_rooms          = sensitive(["lobby"])
    kick_enabled            = sensitive(true)
    sweeper                 = sensitive({ enabled = true })
    kick_principals         = sensitive(["444455556666"])
    publish_enabled         = sensitive(true)
    publish_queue_enabled   = sensitive(true)
    publisher_principals    = sensitive(["sns.amazonaws.com"])
    queued_delivery         = sensitive({ enabled = true })
    saved_queries_enabled   = sensitive(true)
  }

  assert {
    condition     = length(module.fanout_queue) == 1 && length(module.authorizer) == 1 && length(module.history_table) == 1 && length(module.presence_queue) == 1 && length(aws_scheduler_schedule.sweeper) == 1 && length(aws_cloudwatch_query_definition.this) == 9 && length(aws_cloudwatch_dashboard.this) == 1 && keys(aws_lambda_permission.additional_route) == ["search"]
    error_message = "each has its effect"
  }

  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.this), "queue-age-fanout") && !contains(keys(aws_cloudwatch_metric_alarm.this), "posts-failed") && aws_cloudwatch_metric_alarm.this["unavailable"].threshold == 5
    error_message = "the alarms are those asked for"
  }
}

run "a_refusal_names_sensitive_settings" {
  command   = plan
  state_key = "settings"

  variables {
    functions               = sensitive({ sendmessage = { memory_size = 1769 } })
    sendmessage_memory_size = sensitive(1536)
  }

  assert {
    condition     = local.contradictions == ["functions.sendmessage.memory_size and sendmessage_memory_size"]
    error_message = "names are no secrets"
  }

  expect_failures = [check.no_deprecated_variable_is_set, terraform_data.refusals]
}
