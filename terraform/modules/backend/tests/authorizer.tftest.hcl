mock_provider "aws" {
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

run "there_is_no_authorizer_by_default" {
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

run "tokens_are_checked_by_a_function_of_roomcasts_own" {
  variables {
    authorization_type       = "JWT"
    functions                = { authorizer = { memory_size = 768, reserved_concurrency = 20 } }
    jwt_audience             = ["chat", "talk"]
    jwt_audience_claim       = "client_id"
    jwt_default_rooms        = ["lobby", "team-*", "*"]
    jwt_issuer               = ["https://id.example.com/"]
    jwt_jwks_url             = "https://id.example.com/keys?app=chat"
    jwt_max_lifetime_seconds = 900
    jwt_rooms_claim          = "https://example.com/rooms"
    jwt_stale_keys_minutes   = 0
    jwt_subject_claim        = "username"
    jwt_token_from           = ["subprotocol"]
    log_level                = "DEBUG"
  }

  assert {
    condition = tomap(local.authorizer_environment) == tomap({
      ROOMCAST_BACKEND                  = "roomcast"
      ROOMCAST_DNS_SUFFIX               = "amazonaws.com.cn"
      ROOMCAST_JWT_AUDIENCE             = "[\"chat\",\"talk\"]"
      ROOMCAST_JWT_AUDIENCE_CLAIM       = "client_id"
      ROOMCAST_JWT_DEFAULT_ROOMS        = "[\"lobby\",\"team-*\",\"*\"]"
      ROOMCAST_JWT_ISSUER               = "[\"https://id.example.com/\"]"
      ROOMCAST_JWT_JWKS_URL             = "https://id.example.com/keys?app=chat"
      ROOMCAST_JWT_MAX_LIFETIME_SECONDS = "900"
      ROOMCAST_JWT_ROOMS_CLAIM          = "https://example.com/rooms"
      ROOMCAST_JWT_STALE_KEYS_MINUTES   = "0"
      ROOMCAST_JWT_SUBJECT_CLAIM        = "username"
      ROOMCAST_JWT_TOKEN_FROM           = "[\"subprotocol\"]"
      ROOMCAST_LOG_LEVEL                = "DEBUG"
      ROOMCAST_VERSION                  = ""
    })
    error_message = "the function knows which tokens are good, and nothing of the table"
  }

  assert {
    condition     = local.functions["authorizer"].memory_size == 768 && local.functions["authorizer"].reserved_concurrency == 20 && local.functions["authorizer"].timeout == 8 && local.functions["authorizer"].route_key == null
    error_message = "the function has its own memory and concurrency, and no route"
  }

  assert {
    condition     = jsondecode(local.policies["authorizer"]).Statement == [{ Sid = "NothingMore", Effect = "Allow", Action = "sts:GetCallerIdentity", Resource = "*" }]
    error_message = "public keys need no right"
  }

  assert {
    condition     = toset(flatten([for policy in values(local.policies) : jsondecode(policy).Statement[*].Effect])) == toset(["Allow"])
    error_message = "nothing is denied, because Lambda acts in the role's name, too"
  }

  assert {
    condition     = local.environment["ROOMCAST_AUTHORIZATION"] == "JWT"
    error_message = "the other functions know that there are tokens"
  }

  assert {
    condition     = tolist(local.identity_sources) == tolist(["route.request.header.Sec-WebSocket-Protocol"])
    error_message = "API Gateway requires the only place of a token"
  }
}

run "tokens_in_one_of_several_places_are_required_by_the_function" {
  variables {
    authorization_type = "JWT"
    jwt_audience       = ["chat"]
    jwt_issuer         = ["https://id.example.com/"]
    jwt_secret_arn     = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:chat-a1B2c3"
  }

  assert {
    condition     = length(local.identity_sources) == 0
    error_message = "API Gateway would require all of them"
  }

  assert {
    condition     = local.authorizer_environment["ROOMCAST_JWT_SECRET_ARN"] == "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:chat-a1B2c3" && !can(local.authorizer_environment["ROOMCAST_JWT_JWKS_URL"])
    error_message = "the function knows the secret"
  }

  assert {
    condition = jsondecode(local.policies["authorizer"]).Statement == jsondecode(jsonencode([
      { Sid = "ReadSecret", Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:chat-a1B2c3" },
      {
        Sid      = "UseSecretKey"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = "*"
        Condition = {
          StringEquals = {
            "kms:EncryptionContext:SecretARN" = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:chat-a1B2c3"
            "kms:ViaService"                  = "secretsmanager.cn-north-1.amazonaws.com.cn"
          }
        }
      },
    ]))
    error_message = "the function reads this secret alone"
  }
}

run "keys_and_secret_together_are_refused" {
  command = plan

  variables {
    authorization_type = "JWT"
    jwt_audience       = ["chat"]
    jwt_issuer         = ["https://id.example.com/"]
    jwt_jwks_url       = "https://id.example.com/keys"
    jwt_secret_arn     = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:chat-a1B2c3"
  }

  expect_failures = [terraform_data.refusals]
}

run "tokens_without_keys_are_refused" {
  command = plan

  variables {
    authorization_type = "JWT"
    jwt_audience       = ["chat"]
    jwt_issuer         = ["https://id.example.com/"]
  }

  expect_failures = [terraform_data.refusals]
}

run "tokens_of_any_issuer_are_refused" {
  command = plan

  variables {
    authorization_type = "JWT"
    jwt_audience       = ["chat"]
    jwt_jwks_url       = "https://id.example.com/keys"
  }

  expect_failures = [terraform_data.refusals]
}

run "tokens_for_any_audience_are_refused" {
  command = plan

  variables {
    authorization_type = "JWT"
    jwt_issuer         = ["https://id.example.com/"]
    jwt_jwks_url       = "https://id.example.com/keys"
  }

  expect_failures = [terraform_data.refusals]
}
