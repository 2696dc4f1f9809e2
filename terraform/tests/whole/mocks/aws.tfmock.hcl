# Values that AWS chooses, unique per object, so that a mix-up shows. The partition is not `aws`, so that a hard-coded
# partition shows. scripts/asked_of_aws/mocks.py writes the values of functions and routes into functions.tfmock.hcl.

mock_data "aws_dynamodb_table" {
  defaults = {
    arn       = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/mocked"
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
    api_endpoint  = "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn"
    execution_arn = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5"
    id            = "a1b2c3d4e5"
  }
}

mock_resource "aws_apigatewayv2_authorizer" {
  defaults = {
    id = "authorizer-id"
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
  target = module.backend.module.history_table[0].aws_dynamodb_table.this

  values = {
    arn = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/history"
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
  target = module.backend.module.publish_queue[0].aws_sqs_queue.messages

  values = {
    arn = "arn:aws-cn:sqs:cn-north-1:111122223333:publish"
    id  = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/publish-id"
    url = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/publish"
  }
}

override_resource {
  target = module.backend.module.publish_queue[0].aws_sqs_queue.dead_letters

  values = {
    arn = "arn:aws-cn:sqs:cn-north-1:111122223333:publish-dead-letters"
    id  = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/publish-dead-letters-id"
    url = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/publish-dead-letters"
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
  target = module.backend.module.presence_queue[0].aws_sqs_queue.messages

  values = {
    arn = "arn:aws-cn:sqs:cn-north-1:111122223333:rooms"
    id  = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/rooms-id"
    url = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/rooms"
  }
}

override_resource {
  target = module.backend.module.presence_queue[0].aws_sqs_queue.dead_letters

  values = {
    arn = "arn:aws-cn:sqs:cn-north-1:111122223333:dead-rooms"
    id  = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/dead-rooms-id"
    url = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/dead-rooms"
  }
}
