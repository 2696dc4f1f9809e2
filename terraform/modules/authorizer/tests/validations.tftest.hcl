mock_provider "aws" {}

variables {
  api_id        = "a1b2c3d4e5"
  execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5"
  function_arn  = "arn:aws:lambda:eu-central-1:111122223333:function:gate"
  name          = "chat"
}

run "api_id_with_a_path_is_refused" {
  command = plan

  variables {
    api_id = "a1b2/c3"
  }

  expect_failures = [var.api_id]
}

run "empty_api_id_is_refused" {
  command = plan

  variables {
    api_id = ""
  }

  expect_failures = [var.api_id]
}

run "execution_arn_of_a_stage_is_refused" {
  command = plan

  variables {
    execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/live"
  }

  expect_failures = [var.execution_arn]
}

run "execution_arn_of_every_api_is_refused" {
  command = plan

  variables {
    execution_arn = "arn:aws:execute-api:eu-central-1:111122223333:*"
  }

  expect_failures = [var.execution_arn]
}

run "name_of_a_function_is_refused" {
  command = plan

  variables {
    function_arn = "gate"
  }

  expect_failures = [var.function_arn]
}

run "latest_version_of_a_function_is_refused" {
  command = plan

  variables {
    function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:gate:$LATEST"
  }

  expect_failures = [var.function_arn]
}

run "any_function_is_refused" {
  command = plan

  variables {
    function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:*"
  }

  expect_failures = [var.function_arn]
}

run "layer_is_refused" {
  command = plan

  variables {
    function_arn = "arn:aws:lambda:eu-central-1:111122223333:layer:gate"
  }

  expect_failures = [var.function_arn]
}

run "invoke_arn_of_a_function_is_refused" {
  command = plan

  variables {
    function_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:gate/invocations"
  }

  expect_failures = [var.function_arn]
}

run "identity_source_of_an_http_api_is_refused" {
  command = plan

  variables {
    identity_sources = ["$request.header.Authorization"]
  }

  expect_failures = [var.identity_sources]
}

run "identity_source_of_a_rest_api_is_refused" {
  command = plan

  variables {
    identity_sources = ["method.request.header.Authorization"]
  }

  expect_failures = [var.identity_sources]
}

run "identity_source_without_a_name_is_refused" {
  command = plan

  variables {
    identity_sources = ["route.request.header."]
  }

  expect_failures = [var.identity_sources]
}

run "name_of_more_than_62_characters_is_refused" {
  command = plan

  variables {
    name = "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"
  }

  expect_failures = [var.name]
}

run "without_a_permission_a_name_has_64" {
  command = plan

  variables {
    name       = "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd"
    permission = false
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.this.name == var.name
    error_message = "the name is whole"
  }
}

run "name_of_65_characters_is_refused" {
  command = plan

  variables {
    name       = "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcde"
    permission = false
  }

  expect_failures = [var.name]
}

run "empty_name_is_refused" {
  command = plan

  variables {
    name = ""
  }

  expect_failures = [var.name]
}

run "name_with_a_space_is_refused" {
  command = plan

  variables {
    name = "a b"
  }

  expect_failures = [var.name]
}

run "alias_without_a_name_is_refused" {
  command = plan

  variables {
    alias = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:gate" }
  }

  expect_failures = [var.alias]
}

run "latest_version_in_place_of_an_alias_is_refused" {
  command = plan

  variables {
    alias = { arn = "arn:aws:lambda:eu-central-1:111122223333:function:gate:$LATEST" }
  }

  expect_failures = [var.alias]
}
