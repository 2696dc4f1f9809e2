mock_provider "aws" {
  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      id            = "a1b2c3d4e5"
      api_endpoint  = "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn"
      execution_arn = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5"
    }
  }

  mock_resource "aws_apigatewayv2_authorizer" {
    defaults = {
      id = "auth12"
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

run "nobody_is_asked_by_default" {
  assert {
    condition     = length(module.authorizer) == 0 && output.authorizer_source_arn == null
    error_message = "there is no authorizer"
  }
}

run "authorizer_of_ones_own_is_asked_at_the_handshake" {
  variables {
    authorization_type      = "CUSTOM"
    authorizer_function_arn = "arn:aws-cn:lambda:cn-north-1:111122223333:function:gate"
  }

  assert {
    condition     = module.authorizer[0].authorizer_id == "auth12" && local.authorizer_id == "auth12"
    error_message = "the route names the authorizer"
  }

  assert {
    condition     = output.authorizer_source_arn == "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/authorizers/auth12"
    error_message = "the output is the source ARN of a permission"
  }

  assert {
    condition     = local.authorizer_triggers["roomcast:authorizer"] == module.authorizer[0].redeployment_trigger
    error_message = "a change of the authorizer deploys the API again"
  }
}

run "function_of_another_account_has_its_permission_from_there" {
  variables {
    authorization_type      = "CUSTOM"
    authorizer_function_arn = "arn:aws-cn:lambda:cn-north-1:444455556666:function:gate"
    authorizer_permission   = false
  }

  assert {
    condition     = module.authorizer[0].authorizer_id == "auth12"
    error_message = "the authorizer needs no permission of this account"
  }
}
