mock_provider "aws" {
  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "a1b2c3d4e5"
      execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws:logs:eu-central-1:111122223333:log-group:access"
    }
  }
}

variables {
  name       = "roomcast"
  stage_name = "live"

  routes = {
    "$connect" = {
      integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations"
    }
    "sendmessage" = {
      integration_uri        = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:sendmessage/invocations"
      throttling_burst_limit = 7
      throttling_rate_limit  = 5
      timeout_milliseconds   = 10000
    }
  }
}

run "each_route_reaches_its_function" {
  assert {
    condition     = aws_apigatewayv2_api.this.protocol_type == "WEBSOCKET" && aws_apigatewayv2_api.this.route_selection_expression == "$request.body.action"
    error_message = "a message's action selects its route"
  }

  assert {
    condition     = !aws_apigatewayv2_api.this.disable_execute_api_endpoint
    error_message = "the API's own endpoint answers"
  }

  assert {
    condition     = alltrue([for key, route in aws_apigatewayv2_route.this : route.route_key == key && route.target == "integrations/${aws_apigatewayv2_integration.this[key].id}"])
    error_message = "each route has its integration"
  }

  assert {
    condition     = alltrue([for key, integration in aws_apigatewayv2_integration.this : integration.integration_uri == var.routes[key].integration_uri && integration.integration_type == "AWS_PROXY"])
    error_message = "each integration has its function"
  }

  assert {
    condition     = aws_apigatewayv2_integration.this["$connect"].timeout_milliseconds == 29000 && aws_apigatewayv2_integration.this["sendmessage"].timeout_milliseconds == 10000
    error_message = "API Gateway waits as long as asked, else as long as it can"
  }

  assert {
    condition     = aws_apigatewayv2_stage.this.auto_deploy
    error_message = "the stage serves each change"
  }

  assert {
    condition     = output.stage_execution_arn == "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/live"
    error_message = "the output begins the ARNs of the stage"
  }
}

run "both_limits_are_set_everywhere" {
  assert {
    condition     = aws_apigatewayv2_stage.this.default_route_settings[0].throttling_rate_limit == 2000 && aws_apigatewayv2_stage.this.default_route_settings[0].throttling_burst_limit == 1000
    error_message = "the default has rate and burst"
  }

  assert {
    condition     = { for settings in aws_apigatewayv2_stage.this.route_settings : settings.route_key => [settings.throttling_rate_limit, settings.throttling_burst_limit] } == { "$connect" = [2000, 1000], "sendmessage" = [5, 7] }
    error_message = "every route has rate and burst: its own or the stage's"
  }
}

run "nothing_is_authorized_or_logged_by_default" {
  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.this : route.authorization_type == "NONE"])
    error_message = "the API is open"
  }

  assert {
    condition     = length(aws_cloudwatch_log_group.access) == 0 && length(aws_apigatewayv2_stage.this.access_log_settings) == 0 && output.access_log_group_name == null
    error_message = "there is no access log"
  }
}

# The digest of what there is stands in a test of Python's: scripts/tests/test_redeployment.py.
run "what_goes_is_deployed_by_an_update_that_comes_last" {
  assert {
    condition     = endswith(aws_apigatewayv2_integration.redeployment.description, output.snapshot) && length(output.snapshot) == 64
    error_message = "the integration that serves no route changes with every route and integration"
  }

  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.this : route.target != "integrations/${aws_apigatewayv2_integration.redeployment.id}"])
    error_message = "it serves no route"
  }
}

run "triggers_of_the_callers_deploy_too" {
  variables {
    redeployment_triggers = { authorizer = "arn:aws:lambda:eu-central-1:111122223333:function:authorizer" }
  }

  assert {
    condition     = output.snapshot != run.what_goes_is_deployed_by_an_update_that_comes_last.snapshot
    error_message = "another trigger is another snapshot"
  }
}

run "own_endpoint_goes_with_a_deployment" {
  variables {
    default_endpoint_enabled = false
  }

  assert {
    condition     = aws_apigatewayv2_api.this.disable_execute_api_endpoint
    error_message = "the endpoint is off"
  }

  assert {
    condition     = output.snapshot != run.what_goes_is_deployed_by_an_update_that_comes_last.snapshot
    error_message = "AWS turns the endpoint off with a deployment"
  }
}

run "a_deployment_of_the_callers_is_served" {
  variables {
    deployment_id = "d1e2f3"
  }

  assert {
    condition     = aws_apigatewayv2_stage.this.deployment_id == "d1e2f3" && !aws_apigatewayv2_stage.this.auto_deploy && output.deployment_id == "d1e2f3"
    error_message = "API Gateway deploys nothing beside it"
  }
}

run "nobody_logs_messages" {
  assert {
    condition     = alltrue([for settings in concat(aws_apigatewayv2_stage.this.default_route_settings, tolist(aws_apigatewayv2_stage.this.route_settings)) : settings.logging_level == "OFF" && !settings.data_trace_enabled])
    error_message = "logging and tracing are off for the stage and each route"
  }
}

run "selection_expression_may_join_several_parts" {
  variables {
    route_selection_expression = "$${request.body.service}/$${request.body.action}"
  }

  assert {
    condition     = aws_apigatewayv2_api.this.route_selection_expression == "$${request.body.service}/$${request.body.action}"
    error_message = "the API has the expression"
  }
}

run "authorizer_guards_the_handshake_alone" {
  variables {
    authorization_type = "CUSTOM"
    authorizer_id      = "a1b2c3"
  }

  assert {
    condition     = aws_apigatewayv2_route.this["$connect"].authorization_type == "CUSTOM" && aws_apigatewayv2_route.this["$connect"].authorizer_id == "a1b2c3"
    error_message = "the handshake is authorized"
  }

  assert {
    condition     = aws_apigatewayv2_route.this["sendmessage"].authorization_type == "NONE"
    error_message = "messages are not authorized again"
  }
}

run "access_log_tells_no_secrets" {
  variables {
    access_log_enabled = true
    log_retention_days = 7
  }

  assert {
    condition     = aws_cloudwatch_log_group.access[0].name == "/aws/apigateway/roomcast/live" && aws_cloudwatch_log_group.access[0].retention_in_days == 7
    error_message = "the access log has a log group of its own"
  }

  assert {
    condition     = aws_apigatewayv2_stage.this.access_log_settings[0].destination_arn == "arn:aws:logs:eu-central-1:111122223333:log-group:access"
    error_message = "the stage writes to it"
  }

  assert {
    condition     = jsondecode(aws_apigatewayv2_stage.this.access_log_settings[0].format).request_id == "$context.requestId"
    error_message = "API Gateway demands the request id"
  }

  assert {
    condition     = jsondecode(aws_apigatewayv2_stage.this.access_log_settings[0].format).lambda_request_id == "$context.integration.requestId" && jsondecode(aws_apigatewayv2_stage.this.access_log_settings[0].format).connection_id == "$context.connectionId"
    error_message = "a request is found under the same names as in the functions' logs"
  }

  assert {
    condition     = length(aws_apigatewayv2_stage.this.access_log_settings[0].format) <= 1024 && length(regexall("\n|querystring|header|authorizer", aws_apigatewayv2_stage.this.access_log_settings[0].format)) == 0
    error_message = "the format is one line of at most 1024 characters without query strings, headers and identities"
  }
}

run "largest_values_reach_api_gateway" {
  variables {
    access_log_enabled     = true
    log_kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    log_retention_days     = 3653
    throttling_burst_limit = 1000000
    throttling_rate_limit  = 1000000.5

    routes = {
      "$connect" = {
        integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations"
      }
      "sendmessage" = {
        integration_uri        = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:sendmessage/invocations"
        throttling_burst_limit = 2000000
        throttling_rate_limit  = 2000000.5
        timeout_milliseconds   = 29000
      }
    }
  }

  assert {
    condition     = aws_apigatewayv2_stage.this.default_route_settings[0].throttling_rate_limit == 1000000.5 && aws_apigatewayv2_stage.this.default_route_settings[0].throttling_burst_limit == 1000000
    error_message = "the stage's limits are as asked for"
  }

  assert {
    condition     = { for settings in aws_apigatewayv2_stage.this.route_settings : settings.route_key => [settings.throttling_rate_limit, settings.throttling_burst_limit] } == { "$connect" = [1000000.5, 1000000], "sendmessage" = [2000000.5, 2000000] }
    error_message = "a route's limits are its own, above or below the stage's"
  }

  assert {
    condition     = aws_apigatewayv2_integration.this["sendmessage"].timeout_milliseconds == 29000
    error_message = "API Gateway waits as long as asked"
  }

  assert {
    condition     = aws_cloudwatch_log_group.access[0].retention_in_days == 3653 && aws_cloudwatch_log_group.access[0].kms_key_id == var.log_kms_key_arn
    error_message = "the access log is kept for as long as was asked for, encrypted with the given key"
  }
}

run "smallest_values_reach_api_gateway" {
  variables {
    access_log_enabled     = true
    log_kms_key_arn        = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    log_retention_days     = 1
    throttling_burst_limit = 2
    throttling_rate_limit  = 0.002

    routes = {
      "$connect" = {
        integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations"
      }
      "sendmessage" = {
        integration_uri        = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:sendmessage/invocations"
        throttling_burst_limit = 1
        throttling_rate_limit  = 0.001
        timeout_milliseconds   = 50
      }
    }
  }

  assert {
    condition     = aws_apigatewayv2_stage.this.default_route_settings[0].throttling_rate_limit == 0.002 && aws_apigatewayv2_stage.this.default_route_settings[0].throttling_burst_limit == 2
    error_message = "the stage's limits are as asked for"
  }

  assert {
    condition     = { for settings in aws_apigatewayv2_stage.this.route_settings : settings.route_key => [settings.throttling_rate_limit, settings.throttling_burst_limit] } == { "$connect" = [0.002, 2], "sendmessage" = [0.001, 1] }
    error_message = "a route's limits are its own, above or below the stage's"
  }

  assert {
    condition     = aws_apigatewayv2_integration.this["sendmessage"].timeout_milliseconds == 50
    error_message = "API Gateway waits as long as asked"
  }

  assert {
    condition     = aws_cloudwatch_log_group.access[0].retention_in_days == 1 && aws_cloudwatch_log_group.access[0].kms_key_id == var.log_kms_key_arn
    error_message = "the access log is kept for as long as was asked for, encrypted with the given key"
  }
}

run "routes_may_be_sensitive" {
  command = plan

  variables {
    access_log_enabled = sensitive(true)

    routes = sensitive({
      "$connect" = { integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations" }
    })
  }

  assert {
    condition     = toset(keys(aws_apigatewayv2_route.this)) == toset(keys(var.routes)) && length(aws_cloudwatch_log_group.access) == 1
    error_message = "the plan shows which objects there are"
  }
}

run "the_stage_leaves_its_log_group_one_apply_before_that_goes" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_log_group.access) == 1 && length(aws_apigatewayv2_stage.this.access_log_settings) == 0 && output.access_log_group_name == null
    error_message = "API Gateway would make a group again that the stage still writes to"
  }

  expect_failures = [check.access_log_group_is_left]
}

run "logs_and_metrics_are_off_by_default" {
  command   = plan
  state_key = "defaults"

  assert {
    condition     = alltrue([for settings in aws_apigatewayv2_stage.this.route_settings : !settings.data_trace_enabled && settings.logging_level == "OFF" && !settings.detailed_metrics_enabled])
    error_message = "no route writes execution logs or metrics of its own"
  }
}

run "messages_are_never_logged" {
  command   = plan
  state_key = "defaults"

  variables {
    detailed_metrics_enabled = true
    execution_logging_level  = "INFO"
  }

  assert {
    condition     = alltrue([for settings in aws_apigatewayv2_stage.this.route_settings : !settings.data_trace_enabled && settings.logging_level == "INFO" && settings.detailed_metrics_enabled])
    error_message = "each route has the stage's settings"
  }

  assert {
    condition     = !aws_apigatewayv2_stage.this.default_route_settings[0].data_trace_enabled && aws_apigatewayv2_stage.this.default_route_settings[0].logging_level == "INFO" && aws_apigatewayv2_stage.this.default_route_settings[0].detailed_metrics_enabled
    error_message = "and so has the default"
  }
}

run "own_endpoint_may_have_both_protocols" {
  command   = plan
  state_key = "defaults"

  variables {
    ip_address_type = "dualstack"
  }

  assert {
    condition     = aws_apigatewayv2_api.this.ip_address_type == "dualstack"
    error_message = "clients may use IPv6"
  }
}
