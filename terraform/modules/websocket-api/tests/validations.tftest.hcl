# One run per validation: a bad value is refused at plan.


mock_provider "aws" {}

variables {
  name       = "roomcast"
  stage_name = "live"

  routes = {
    "$connect" = { integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations" }
  }
}

run "authorization_type_takes_what_websocket_apis_offer" {
  command = plan

  variables {
    authorization_type = "JWT"
  }

  expect_failures = [var.authorization_type]
}

run "authorizer_id_goes_with_custom_authorization" {
  command = plan

  variables {
    authorization_type = "CUSTOM"
  }

  expect_failures = [var.authorizer_id]
}

run "authorizer_id_goes_with_no_other_authorization" {
  command = plan

  variables {
    authorizer_id = "a1b2c3"
  }

  expect_failures = [var.authorizer_id]
}

run "deployment_id_is_no_arn" {
  command = plan

  variables {
    deployment_id = "arn:aws:apigateway:eu-central-1::/apis/a1b2c3/deployments/d1e2f3"
  }

  expect_failures = [var.deployment_id]
}

run "description_takes_1024_characters" {
  command = plan

  variables {
    description = format("%1025s", "-")
  }

  expect_failures = [var.description]
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

run "name_takes_no_spaces" {
  command = plan

  variables {
    name = "my chat"
  }

  expect_failures = [var.name]
}

run "route_selection_expression_reads_the_body" {
  command = plan

  variables {
    route_selection_expression = "$request.header.action"
  }

  expect_failures = [var.route_selection_expression]
}

run "routes_take_no_other_reserved_keys" {
  command = plan

  variables {
    routes = { "$message" = { integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations" } }
  }

  expect_failures = [var.routes]
}

run "routes_are_at_least_one" {
  command = plan

  variables {
    routes = {}
  }

  expect_failures = [var.routes]
}

run "routes_take_keys_of_128_characters" {
  command = plan

  variables {
    routes = { (format("%129s", "-")) = { integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations" } }
  }

  expect_failures = [var.routes]
}

run "routes_take_invoke_arns_only" {
  command = plan

  variables {
    routes = { "$connect" = { integration_uri = "arn:aws:lambda:eu-central-1:111122223333:function:connect" } }
  }

  expect_failures = [var.routes]
}

run "routes_take_no_burst_limit_of_0" {
  command = plan

  variables {
    routes = { "$connect" = { integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations", throttling_burst_limit = 0 } }
  }

  expect_failures = [var.routes]
}

run "routes_take_no_rate_limit_of_0" {
  command = plan

  variables {
    routes = { "$connect" = { integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations", throttling_rate_limit = 0 } }
  }

  expect_failures = [var.routes]
}

run "routes_wait_29_seconds_at_most" {
  command = plan

  variables {
    routes = { "$connect" = { integration_uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:connect/invocations", timeout_milliseconds = 30000 } }
  }

  expect_failures = [var.routes]
}

run "stage_name_is_not_default" {
  command = plan

  variables {
    stage_name = "$default"
  }

  expect_failures = [var.stage_name]
}

run "tags_take_no_reserved_keys" {
  command = plan

  variables {
    tags = { "aws:owner" = "me" }
  }

  expect_failures = [var.tags]
}

run "throttling_burst_limit_is_whole" {
  command = plan

  variables {
    throttling_burst_limit = 1.5
  }

  expect_failures = [var.throttling_burst_limit]
}

run "throttling_rate_limit_is_not_0" {
  command = plan

  variables {
    throttling_rate_limit = 0
  }

  expect_failures = [var.throttling_rate_limit]
}
