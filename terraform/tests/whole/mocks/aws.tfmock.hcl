# Values that AWS would give, another one for each object, so that a mix-up shows. A partition other than `aws`, so that
# nothing written out by mistake looks right.

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
    execution_arn = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5"
    id            = "a1b2c3d4e5"
  }
}

mock_resource "aws_apigatewayv2_deployment" {
  defaults = {
    id = "deployment"
  }
}

mock_resource "aws_apigatewayv2_stage" {
  defaults = {
    invoke_url = "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/mocked"
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/mocked"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_cloudwatch_log_group.access

  values = {
    arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:access"
  }
}

override_resource {
  target = module.backend.module.fanout_queue[0].aws_sqs_queue.messages

  values = {
    arn = "arn:aws-cn:sqs:cn-north-1:111122223333:messages"
    id  = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/messages-id"
    url = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/messages"
  }
}

override_resource {
  target = module.backend.module.fanout_queue[0].aws_sqs_queue.dead_letters

  values = {
    arn = "arn:aws-cn:sqs:cn-north-1:111122223333:dead-letters"
    id  = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/dead-letters-id"
    url = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/dead-letters"
  }
}

override_resource {
  target = module.backend.module.handler["connect"].aws_lambda_function.this

  values = {
    arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-connect"
    invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-connect/invocations"
  }
}

override_resource {
  target = module.backend.module.handler["connect"].aws_iam_role.this

  values = {
    arn = "arn:aws-cn:iam::111122223333:role/mocked-connect"
    id  = "role-id-connect"
  }
}

override_resource {
  target = module.backend.module.handler["connect"].aws_cloudwatch_log_group.this

  values = {
    arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-connect"
  }
}

override_resource {
  target = module.backend.module.handler["default"].aws_lambda_function.this

  values = {
    arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-default"
    invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-default/invocations"
  }
}

override_resource {
  target = module.backend.module.handler["default"].aws_iam_role.this

  values = {
    arn = "arn:aws-cn:iam::111122223333:role/mocked-default"
    id  = "role-id-default"
  }
}

override_resource {
  target = module.backend.module.handler["default"].aws_cloudwatch_log_group.this

  values = {
    arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-default"
  }
}

override_resource {
  target = module.backend.module.handler["disconnect"].aws_lambda_function.this

  values = {
    arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-disconnect"
    invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-disconnect/invocations"
  }
}

override_resource {
  target = module.backend.module.handler["disconnect"].aws_iam_role.this

  values = {
    arn = "arn:aws-cn:iam::111122223333:role/mocked-disconnect"
    id  = "role-id-disconnect"
  }
}

override_resource {
  target = module.backend.module.handler["disconnect"].aws_cloudwatch_log_group.this

  values = {
    arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-disconnect"
  }
}

override_resource {
  target = module.backend.module.fanout_worker[0].aws_lambda_function.this

  values = {
    arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-fanout_worker"
    invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-fanout_worker/invocations"
  }
}

override_resource {
  target = module.backend.module.fanout_worker[0].aws_iam_role.this

  values = {
    arn = "arn:aws-cn:iam::111122223333:role/mocked-fanout_worker"
    id  = "role-id-fanout_worker"
  }
}

override_resource {
  target = module.backend.module.fanout_worker[0].aws_cloudwatch_log_group.this

  values = {
    arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-fanout_worker"
  }
}

override_resource {
  target = module.backend.module.handler["sendmessage"].aws_lambda_function.this

  values = {
    arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-sendmessage"
    invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-sendmessage/invocations"
  }
}

override_resource {
  target = module.backend.module.handler["sendmessage"].aws_iam_role.this

  values = {
    arn = "arn:aws-cn:iam::111122223333:role/mocked-sendmessage"
    id  = "role-id-sendmessage"
  }
}

override_resource {
  target = module.backend.module.handler["sendmessage"].aws_cloudwatch_log_group.this

  values = {
    arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-sendmessage"
  }
}

override_resource {
  target = module.backend.module.handler["whoami"].aws_lambda_function.this

  values = {
    arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-whoami"
    invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-whoami/invocations"
  }
}

override_resource {
  target = module.backend.module.handler["whoami"].aws_iam_role.this

  values = {
    arn = "arn:aws-cn:iam::111122223333:role/mocked-whoami"
    id  = "role-id-whoami"
  }
}

override_resource {
  target = module.backend.module.handler["whoami"].aws_cloudwatch_log_group.this

  values = {
    arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-whoami"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_integration.this["$connect"]

  values = {
    id = "integration-connect"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_route.this["$connect"]

  values = {
    id = "route-connect"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_integration.this["$default"]

  values = {
    id = "integration-default"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_route.this["$default"]

  values = {
    id = "route-default"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_integration.this["$disconnect"]

  values = {
    id = "integration-disconnect"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_route.this["$disconnect"]

  values = {
    id = "route-disconnect"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_integration.this["plain"]

  values = {
    id = "integration-plain"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_route.this["plain"]

  values = {
    id = "route-plain"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_integration.this["search/room"]

  values = {
    id = "integration-search-room"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_route.this["search/room"]

  values = {
    id = "route-search-room"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_integration.this["sendmessage"]

  values = {
    id = "integration-sendmessage"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_route.this["sendmessage"]

  values = {
    id = "route-sendmessage"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_integration.this["whoami"]

  values = {
    id = "integration-whoami"
  }
}

override_resource {
  target = module.backend.module.websocket_api.aws_apigatewayv2_route.this["whoami"]

  values = {
    id = "route-whoami"
  }
}
