mock_provider "aws" {
  mock_resource "aws_apigatewayv2_authorizer" {
    defaults = {
      id = "auth12"
    }
  }
}

variables {
  api_id        = "a1b2c3d4e5"
  execution_arn = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5"
  function_arn  = "arn:aws-cn:lambda:cn-north-1:111122223333:function:gate"
  name          = "chat"
}

run "function_is_invoked_for_each_handshake" {
  assert {
    condition     = aws_apigatewayv2_authorizer.this.api_id == "a1b2c3d4e5" && aws_apigatewayv2_authorizer.this.authorizer_type == "REQUEST" && aws_apigatewayv2_authorizer.this.name == "chat"
    error_message = "the API has a request authorizer of the given name"
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.this.authorizer_uri == "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:gate/invocations"
    error_message = "the URI names the function, in its own partition and Region"
  }

  assert {
    condition     = length(aws_apigatewayv2_authorizer.this.identity_sources) == 0
    error_message = "nothing is required of a handshake"
  }

  assert {
    condition     = output.authorizer_id == "auth12" && output.source_arn == "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/authorizers/auth12"
    error_message = "the outputs are the authorizer's"
  }
}

run "only_this_authorizer_may_invoke_the_function" {
  assert {
    condition = (
      aws_lambda_permission.this[0].action == "lambda:InvokeFunction"
      && aws_lambda_permission.this[0].function_name == "gate"
      && aws_lambda_permission.this[0].principal == "apigateway.amazonaws.com"
      && aws_lambda_permission.this[0].qualifier == null
      && aws_lambda_permission.this[0].source_arn == output.source_arn
    )
    error_message = "the permission is for the authorizer, not for the API"
  }
}

run "permission_of_an_alias_belongs_to_the_alias" {
  variables {
    function_arn = "arn:aws-cn:lambda:cn-north-1:111122223333:function:gate:live"
  }

  assert {
    condition     = aws_lambda_permission.this[0].function_name == "gate" && aws_lambda_permission.this[0].qualifier == "live"
    error_message = "the permission names the alias"
  }

  assert {
    condition     = endswith(aws_apigatewayv2_authorizer.this.authorizer_uri, ":function:gate:live/invocations")
    error_message = "the URI names the alias"
  }
}

run "alias_is_invoked_in_place_of_its_function_and_both_have_a_permission" {
  variables {
    alias = { arn = "arn:aws-cn:lambda:cn-north-1:111122223333:function:gate:live" }
  }

  assert {
    condition     = endswith(aws_apigatewayv2_authorizer.this.authorizer_uri, ":function:gate:live/invocations")
    error_message = "the URI names the alias"
  }

  assert {
    condition = (
      aws_lambda_permission.alias[0].action == "lambda:InvokeFunction"
      && aws_lambda_permission.alias[0].function_name == "arn:aws-cn:lambda:cn-north-1:111122223333:function:gate"
      && aws_lambda_permission.alias[0].principal == "apigateway.amazonaws.com"
      && aws_lambda_permission.alias[0].qualifier == "live"
      && aws_lambda_permission.alias[0].source_arn == "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/authorizers/*"
    )
    error_message = "the API's authorizers may invoke the alias"
  }

  assert {
    condition     = aws_lambda_permission.this[0].function_name == "gate" && aws_lambda_permission.this[0].qualifier == null
    error_message = "the function keeps its permission"
  }
}

run "each_changed_attribute_is_another_trigger" {
  variables {
    identity_sources = ["route.request.header.Authorization"]
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.this.identity_sources == toset(["route.request.header.Authorization"])
    error_message = "the identity source is required"
  }

  assert {
    condition     = output.redeployment_trigger != run.permission_of_an_alias_belongs_to_the_alias.redeployment_trigger && run.permission_of_an_alias_belongs_to_the_alias.redeployment_trigger != run.function_is_invoked_for_each_handshake.redeployment_trigger
    error_message = "the API is deployed again"
  }
}

run "function_of_another_account_has_its_permission_from_there" {
  variables {
    function_arn = "arn:aws-cn:lambda:cn-north-1:444455556666:function:gate"
    permission   = false
  }

  assert {
    condition     = length(aws_lambda_permission.this) == 0
    error_message = "only the other account can change the function's policy"
  }
}

run "permission_in_another_account_is_refused" {
  command = plan

  variables {
    function_arn = "arn:aws-cn:lambda:cn-north-1:444455556666:function:gate"
  }

  expect_failures = [aws_lambda_permission.this]
}

run "function_in_another_region_is_refused" {
  command = plan

  variables {
    function_arn = "arn:aws-cn:lambda:cn-northwest-1:111122223333:function:gate"
  }

  expect_failures = [aws_apigatewayv2_authorizer.this]
}
