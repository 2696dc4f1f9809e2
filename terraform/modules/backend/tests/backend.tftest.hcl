mock_provider "aws" {
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

  mock_resource "aws_cloudwatch_log_group" {
    defaults = {
      arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:access"
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
    version   = "1.2.3"
  }
}

run "published_zips_are_taken_from_their_bucket" {
  command = plan

  variables {
    published_handlers = { bucket = "zips", region = "cn-north-1" }
  }

  # A function takes either a file or an object, both parts of it.
  override_module {
    target = module.zips

    outputs = {
      directory = "zips"
      hashes    = {}
      paths     = { connect = "zips/connect.zip", default = "zips/default.zip", disconnect = "zips/disconnect.zip", join = "zips/join.zip", leave = "zips/leave.zip", ping = "zips/ping.zip", sendmessage = "zips/sendmessage.zip", who = "zips/who.zip", whoami = "zips/whoami.zip" }
      s3_keys   = { connect = "roomcast/connect/0123.zip", default = "roomcast/default/0123.zip", disconnect = "roomcast/disconnect/0123.zip", join = "roomcast/join/0123.zip", leave = "roomcast/leave/0123.zip", ping = "roomcast/ping/0123.zip", sendmessage = "roomcast/sendmessage/0123.zip", who = "roomcast/who/0123.zip", whoami = "roomcast/whoami/0123.zip" }
      version   = "1.2.3"
    }
  }

  assert {
    condition     = keys(module.handler) == keys(local.functions)
    error_message = "each function takes its object"
  }
}

run "every_route_is_served_by_the_function_of_its_name" {
  assert {
    condition     = toset(keys(local.functions)) == toset([for route_key in keys(local.routes) : trimprefix(route_key, "$")])
    error_message = "a function is named like its route"
  }

  assert {
    condition     = toset(keys(local.functions)) == toset(keys(output.function_arns)) && toset(keys(local.functions)) == toset(keys(output.log_group_names))
    error_message = "no function is left out of the outputs"
  }
}

run "api_and_queues_invoke_aliases_of_which_those_of_readers_move_first" {
  state_key = "aliases"

  variables {
    kick_enabled          = true
    kick_principals       = ["444455556666", "cognito-idp.amazonaws.com", "s3.amazonaws.com", "states.cn-north-1.amazonaws.com.cn"]
    presence_rooms        = ["*"]
    publish_queue_enabled = true
    queued_delivery       = { enabled = true }
    sweeper               = { enabled = true }
  }

  assert {
    condition     = keys(aws_lambda_alias.readers) == ["default", "disconnect", "fanout_worker", "ping", "presence", "sweeper", "who", "whoami"]
    error_message = "readers are what reads rows and tasks of others"
  }

  assert {
    condition     = setunion(keys(aws_lambda_alias.readers), keys(aws_lambda_alias.writers)) == toset(keys(output.function_arns)) && length(setintersection(keys(aws_lambda_alias.readers), keys(aws_lambda_alias.writers))) == 0
    error_message = "each function has one alias"
  }

  assert {
    condition = alltrue([
      for name, alias in merge(aws_lambda_alias.readers, aws_lambda_alias.writers) :
      alias.name == "live" && alias.function_name == module.handler[name].arn && alias.function_version == module.handler[name].version
    ])
    error_message = "an alias serves its function's latest version"
  }

  assert {
    condition     = toset(keys(aws_lambda_permission.alias)) == toset([for route_key in keys(local.routes) : trimprefix(route_key, "$")])
    error_message = "each route may invoke its function's alias"
  }

  assert {
    condition = alltrue([
      for name, permission in aws_lambda_permission.alias :
      permission.qualifier == "live" && permission.principal == "apigateway.amazonaws.com" && permission.source_arn == "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/live/${local.functions[name].route_key}"
    ])
    error_message = "and no other route"
  }

  assert {
    condition = jsonencode({ for key, permission in aws_lambda_permission.alias_principal : key => [permission.principal, permission.qualifier, permission.source_account] }) == jsonencode({
      "kick 444455556666"                       = ["arn:aws-cn:iam::444455556666:root", "live", null]
      "kick cognito-idp.amazonaws.com"          = ["cognito-idp.amazonaws.com", "live", "111122223333"]
      "kick s3.amazonaws.com"                   = ["s3.amazonaws.com", "live", "111122223333"]
      "kick states.cn-north-1.amazonaws.com.cn" = ["states.cn-north-1.amazonaws.com.cn", "live", "111122223333"]
    })
    error_message = "callers may name the alias as well as the function, and each service acts for this account alone"
  }

  assert {
    condition     = output.alias_arns == { for name in keys(local.functions) : name => "arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast:live" } && output.function_arns["kick"] == "arn:aws-cn:lambda:cn-north-1:111122223333:function:roomcast"
    error_message = "the other outputs are unqualified"
  }
}

run "parameter_says_what_the_stage_consists_of" {
  state_key = "parameter"

  variables {
    access_log_enabled = true
    kick_enabled       = true
    queued_delivery    = { enabled = true }
    shards_per_room    = 2
    tags               = { team = "chat" }
  }

  assert {
    condition     = aws_ssm_parameter.stage.name == "/roomcast/roomcast/live" && output.stage_parameter_name == aws_ssm_parameter.stage.name && aws_ssm_parameter.stage.type == "String" && aws_ssm_parameter.stage.tier == "Standard" && aws_ssm_parameter.stage.tags == tomap({ team = "chat" })
    error_message = "one parameter for each stage, which costs nothing"
  }

  assert {
    condition = { for name, value in jsondecode(aws_ssm_parameter.stage.insecure_value) : name => value if contains(["v", "name", "release", "access_log_group_name", "connections_table_arn", "fanout_queue_url", "history_table_arn", "kick_enabled", "publish_enabled", "shards_per_room", "stage_execution_arn"], name) } == {
      v                     = 1
      name                  = "roomcast"
      release               = "1.2.3"
      access_log_group_name = "/aws/apigateway/roomcast/live"
      connections_table_arn = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/roomcast-connections"
      fanout_queue_url      = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/roomcast-fanout"
      history_table_arn     = null
      kick_enabled          = true
      publish_enabled       = false
      shards_per_room       = 2
      stage_execution_arn   = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/live"
    }
    error_message = "ids, names and ARNs, as the outputs have them"
  }

  assert {
    condition     = keys(jsondecode(aws_ssm_parameter.stage.insecure_value).functions) == keys(output.function_arns)
    error_message = "and all functions"
  }

  assert {
    condition     = jsondecode(aws_ssm_parameter.stage.insecure_value).additional_routes == [] && jsondecode(aws_ssm_parameter.stage.insecure_value).alarms == {}
    error_message = "routes of the team's and alarms, of which there are none"
  }
}

# Each of the longest names, and of all functions and queues.
run "parameter_of_the_largest_stage_is_a_standard_one" {
  state_key = "largest"

  variables {
    name                  = "a-name-of-forty-characters-is-the-longes"
    stage_name            = join("", [for _ in range(16) : "eight-ch"])
    access_log_enabled    = true
    authorization_type    = "JWT"
    jwt_audience          = ["chat"]
    jwt_issuer            = ["https://id.example.com/"]
    jwt_jwks_url          = "https://id.example.com/keys"
    history_rooms         = ["*"]
    kick_enabled          = true
    presence_rooms        = ["*"]
    publish_enabled       = true
    publish_queue_enabled = true
    queued_delivery       = { enabled = true, fifo = true }
    sweeper               = { enabled = true }
    alarms                = { page_topic_arn = "arn:aws-cn:sns:cn-north-1:111122223333:pages" }
    additional_routes = {
      for number in range(7) : "team/${number}/${join("", [for _ in range(4) : "eight-ch"])}" => { function_name = "search", invoke_arn = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:search/invocations" }
    }
  }

  assert {
    condition     = length(jsondecode(aws_ssm_parameter.stage.insecure_value).additional_routes) == 7
    error_message = "as many routes of the team's as are told"
  }

  # Queues have mocked URLs of a shorter name, and zips mocked digests, which are null.
  assert {
    condition     = length(aws_ssm_parameter.stage.insecure_value) + 6 * 60 + 15 * 42 <= 4096
    error_message = "a standard parameter holds 4,096 characters: ${length(aws_ssm_parameter.stage.insecure_value)}"
  }
}

run "alarms_know_their_queues_at_plan" {
  command = plan

  variables {
    alarms                = { page_topic_arn = "arn:aws-cn:sns:cn-north-1:111122223333:pages" }
    history_rooms         = ["*"]
    presence_rooms        = ["*"]
    publish_enabled       = true
    publish_queue_enabled = true
    queued_delivery       = { enabled = true, fifo = true }
  }

  assert {
    condition = {
      for name, alarm in aws_cloudwatch_metric_alarm.this : name => [for query in alarm.metric_query : query.metric[0].dimensions.QueueName]
      if startswith(name, "queue-age-") || startswith(name, "dead-letters-")
      } == {
      dead-letters-fanout   = ["roomcast-fanout-dead-letters.fifo"]
      dead-letters-presence = ["roomcast-presence-dead-letters"]
      dead-letters-publish  = ["roomcast-publish-dead-letters"]
      queue-age-fanout      = ["roomcast-fanout.fifo"]
      queue-age-presence    = ["roomcast-presence"]
      queue-age-publish     = ["roomcast-publish"]
    }
    error_message = "the names of queues"
  }
}

# Of Roomcast's own; what a route of yours may do stands in its policy.
run "each_function_may_do_what_its_route_needs" {
  assert {
    condition = alltrue([
      for handler, actions in {
        connect     = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "execute-api:ManageConnections"]
        default     = ["dynamodb:GetItem", "execute-api:ManageConnections"]
        disconnect  = ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "execute-api:ManageConnections"]
        join        = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "execute-api:ManageConnections"]
        leave       = ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "execute-api:ManageConnections"]
        ping        = ["dynamodb:GetItem", "execute-api:ManageConnections"]
        sendmessage = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "execute-api:ManageConnections"]
        who         = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "execute-api:ManageConnections"]
        whoami      = ["dynamodb:GetItem", "execute-api:ManageConnections"]
      } :
      flatten([for statement in jsondecode(local.policies[handler]).Statement : statement.Action if statement.Sid != "UseTableKey"]) == actions
    ])
    error_message = "a policy allows nothing else"
  }

  assert {
    condition = toset(flatten([for policy in values(local.policies) : [for statement in jsondecode(policy).Statement : statement.Resource if statement.Sid != "UseTableKey"]])) == toset([
      "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/roomcast-connections",
      "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/live/POST/@connections/*",
    ])
    error_message = "policies name the table and this stage's connections alone"
  }
}

run "functions_use_the_tables_key_whatever_it_is" {
  assert {
    condition = alltrue([
      for handler, policy in local.policies :
      strcontains(policy, "\"dynamodb:") == contains([for statement in jsondecode(policy).Statement : statement.Sid], "UseTableKey")
    ])
    error_message = "a function that uses the table may use its key"
  }

  assert {
    condition = alltrue(flatten([
      for handler, policy in local.policies : [
        for statement in jsondecode(policy).Statement :
        statement.Condition.StringEquals["kms:ViaService"] == "dynamodb.cn-north-1.amazonaws.com.cn" && statement.Condition.StringEqualsIfExists["kms:EncryptionContext:aws:dynamodb:tableName"] == "roomcast-connections"
        if statement.Sid == "UseTableKey"
      ]
    ]))
    error_message = "it uses the key for this table alone, and by DynamoDB alone"
  }
}

run "management_endpoint_is_the_apis_own" {
  assert {
    condition     = output.management_endpoint == "https://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/live"
    error_message = "the endpoint is made of API, Region, partition and stage"
  }

  assert {
    condition     = local.environment.ROOMCAST_MANAGEMENT_ENDPOINT == output.management_endpoint && local.environment.ROOMCAST_DNS_SUFFIX == "amazonaws.com.cn"
    error_message = "the functions use it"
  }
}

run "functions_need_another_endpoint_than_one_that_is_off" {
  command = plan

  variables {
    default_endpoint_enabled = false
  }

  expect_failures = [terraform_data.refusals]
}

run "management_endpoint_may_be_given" {
  variables {
    management_endpoint = "http://127.0.0.1:4566/_aws/execute-api/{api_id}/{stage_name}"
  }

  assert {
    condition     = output.management_endpoint == "http://127.0.0.1:4566/_aws/execute-api/a1b2c3d4e5/live"
    error_message = "placeholders are replaced"
  }
}

run "names_begin_with_the_backends" {
  state_key = "another_name"

  variables {
    name = "chat"
  }

  assert {
    condition     = output.connections_table_name == "chat-connections" && output.log_group_names["connect"] == "/aws/lambda/chat-connect"
    error_message = "two backends with two names do not meet"
  }

  assert {
    condition     = module.handler["sendmessage"].function_name == "chat-sendmessage" && module.handler["sendmessage"].role_name == "chat-sendmessage-cn-north-1"
    error_message = "functions and roles are named after the backend"
  }
}

run "functions_know_what_they_are_configured_with" {
  state_key = "configured"

  variables {
    client_limits            = { spread = 60 }
    http2                    = false
    log_level                = "DEBUG"
    max_rooms_per_connection = 7
    maximum_message_bytes    = 4096
    maximum_room_members     = 300
    messages_per_second      = 2.5
    name                     = "chat"
    pace                     = 2500.5
    shards_per_room          = 4
    shards_read              = 8
    table_name               = "members"
  }

  assert {
    condition = local.environment == {
      ROOMCAST_AUTHORIZATION         = "NONE"
      ROOMCAST_BACKEND               = "chat"
      ROOMCAST_CLIENT_LIMITS         = "{\"heal\":3,\"heartbeat\":270,\"spread\":60}"
      ROOMCAST_DNS_SUFFIX            = "amazonaws.com.cn"
      ROOMCAST_HTTP2                 = "false"
      ROOMCAST_LOG_LEVEL             = "DEBUG"
      ROOMCAST_MANAGEMENT_ENDPOINT   = "https://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/live"
      ROOMCAST_MAXIMUM_MESSAGE_BYTES = "4096"
      ROOMCAST_MAXIMUM_ROOM_MEMBERS  = "300"
      ROOMCAST_MAXIMUM_ROOMS         = "7"
      ROOMCAST_MEMBERS_COUNTED_SINCE = terraform_data.members_counted.input
      ROOMCAST_MESSAGES_PER_SECOND   = "2.5"
      ROOMCAST_PACE                  = "2500.5"
      ROOMCAST_SHARDS_PER_ROOM       = "4"
      ROOMCAST_SHARDS_READ           = "8"
      ROOMCAST_TABLE_NAME            = "members"
      ROOMCAST_VERSION               = "1.2.3"
    }
    error_message = "the environment holds the settings"
  }
}

run "other_teams_add_routes" {
  variables {
    additional_routes = {
      "search/room" = {
        function_name = "search"
        invoke_arn    = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:search/invocations"
      }
    }
  }

  assert {
    condition     = aws_lambda_permission.additional_route["search/room"].source_arn == "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/live/search/room"
    error_message = "the permission is for exactly the route"
  }

  assert {
    condition     = aws_lambda_permission.additional_route["search/room"].function_name == "search" && aws_lambda_permission.additional_route["search/room"].statement_id_prefix == "roomcast-search-room-"
    error_message = "the permission is the function's"
  }
}

run "alias_is_permitted_itself" {
  command = plan

  variables {
    additional_routes = {
      "search" = {
        function_name = "search"
        invoke_arn    = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:search:live/invocations"
      }
    }
  }

  assert {
    condition     = aws_lambda_permission.additional_route["search"].qualifier == "live" && aws_lambda_permission.additional_route["search"].function_name == "search"
    error_message = "API Gateway invokes the alias, and a permission of the function does not cover it"
  }
}

run "statement_ids_of_the_longest_names_fit" {
  state_key = "the_longest_name"
  command   = plan

  variables {
    name = "a-backend-whose-name-takes-40-characters"

    additional_routes = {
      "a.route.whose.key.takes.all.of.the.128.characters.that.it.may.which.is.more.than.an.identifier.of.a.statement.of.lambda.could.be" = {
        function_name = "search"
        invoke_arn    = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:search/invocations"
      }
    }
  }

  # Terraform adds 26 characters, and Lambda takes 100.
  assert {
    condition     = alltrue([for permission in aws_lambda_permission.additional_route : length(permission.statement_id_prefix) <= 74 && startswith(permission.statement_id_prefix, "${var.name}-a-route-whose-key")])
    error_message = "Lambda refuses statement ids over 100 characters"
  }
}

run "backends_invoke_nothing_by_default" {
  assert {
    condition     = !contains(keys(module.handler), "publish") && !contains(keys(module.handler), "kick") && length(module.publish_queue) == 0
    error_message = "neither function nor queue exists"
  }

  assert {
    condition     = output.kick_function_arn == null && output.publish_function_arn == null && output.publish_queue_arn == null && output.publish_queue_url == null && output.publish_dead_letter_queue_url == null
    error_message = "no output names one"
  }

  assert {
    condition     = local.own_environments["connect"] == local.environment && !strcontains(local.policies["connect"], "ConditionCheckItem")
    error_message = "the handshake writes and checks nothing for them"
  }
}

run "backends_publish_and_kick_if_so_asked" {
  state_key = "backends"

  variables {
    authorization_type    = "AWS_IAM"
    history_rooms         = ["lobby"]
    kick_enabled          = true
    publish_enabled       = true
    publish_queue_enabled = true
  }

  assert {
    condition = {
      for handler in ["connect", "kick", "publish"] :
      handler => flatten([for statement in jsondecode(local.policies[handler]).Statement : statement.Action if !startswith(statement.Sid, "Use")])
      } == {
      connect = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem", "execute-api:ManageConnections"]
      kick    = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "execute-api:ManageConnections"]
      publish = ["dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "execute-api:ManageConnections"]
    }
    error_message = "each function may do what it needs"
  }

  assert {
    condition     = local.own_environments["connect"] == merge(local.environment, { ROOMCAST_LISTS_USERS = "true", ROOMCAST_MAY_DENY = "true" })
    error_message = "the handshake lists connections by the names of their clients, and refuses those that were kicked"
  }

  assert {
    condition     = output.publish_queue_url == module.publish_queue[0].queue_url && output.publish_function_arn == module.handler["publish"].arn && output.kick_function_arn == module.handler["kick"].arn
    error_message = "outputs name functions and queue"
  }
}

run "handshakes_list_no_client_without_a_name" {
  state_key = "backends_without_identities"

  variables {
    kick_enabled    = true
    publish_enabled = true
  }

  assert {
    condition     = local.own_environments["connect"] == local.environment && length(module.publish_queue) == 0
    error_message = "without identities there is nothing to list, and without its variable no queue"
  }
}

run "clients_are_listed_and_not_refused_where_none_is_kicked" {
  state_key = "backends_without_kicks"

  variables {
    authorization_type    = "AWS_IAM"
    publish_queue_enabled = true
  }

  assert {
    condition     = local.own_environments["connect"] == merge(local.environment, { ROOMCAST_LISTS_USERS = "true" }) && !contains(keys(local.functions), "kick") && contains(keys(local.functions), "publish")
    error_message = "a queue alone needs the function and the list"
  }

  assert {
    condition     = !strcontains(local.policies["connect"], "ConditionCheckItem")
    error_message = "and no right to check denials"
  }
}

run "no_message_is_kept_by_default" {
  assert {
    condition     = length(module.history_table) == 0 && output.history_table_arn == null && output.history_table_name == null
    error_message = "there is no table of messages"
  }

  assert {
    condition     = length(local.history_environment) == 0 && alltrue([for name in ["join", "ping", "sendmessage", "whoami"] : local.own_environments[name] == local.environment])
    error_message = "no function knows of one"
  }

  assert {
    condition     = alltrue([for policy in values(local.policies) : !strcontains(policy, "History") && !strcontains(policy, "BatchGetItem")])
    error_message = "no function has a right that it needs for one"
  }
}

run "messages_are_kept_if_so_asked" {
  state_key = "history"

  variables {
    history_generation        = 4
    history_retention_minutes = 30
    history_rooms             = ["lobby", "team-*"]
  }

  assert {
    condition     = output.history_table_name == "roomcast-history" && length(module.history_table) == 1
    error_message = "there is a table of messages"
  }

  assert {
    condition = local.history_environment == tomap({
      ROOMCAST_HISTORY_GENERATION        = "4"
      ROOMCAST_HISTORY_RETENTION_MINUTES = "30"
      ROOMCAST_HISTORY_ROOMS             = "[\"lobby\",\"team-*\"]"
      ROOMCAST_HISTORY_TABLE_NAME        = "roomcast-history"
    })
    error_message = "functions know which rooms keep messages, and where"
  }

  assert {
    condition = {
      for handler, policy in local.policies :
      handler => flatten([for statement in jsondecode(policy).Statement : statement.Action if strcontains(statement.Sid, "History") && statement.Sid != "UseHistoryKey" || contains(["NumberAndKeepMessages", "ReadHeads"], statement.Sid)])
      if strcontains(policy, "UseHistoryKey")
      } == {
      join        = ["dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      ping        = ["dynamodb:BatchGetItem"]
      sendmessage = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    }
    error_message = "each function may do with messages what its route needs"
  }
}

run "no_room_tells_who_comes_and_goes_by_default" {
  assert {
    condition     = length(module.presence_queue) == 0 && !contains(keys(module.handler), "presence") && output.presence_queue_url == null && output.presence_dead_letter_queue_url == null
    error_message = "there is no queue and no function"
  }

  assert {
    condition     = length(local.presence_environment) == 0 && local.mark_presence == ""
    error_message = "no function knows of one"
  }

  assert {
    condition     = alltrue([for policy in values(local.policies) : !strcontains(policy, "Presence") && !strcontains(policy, "sqs:")])
    error_message = "no function has a right that it needs for one"
  }
}

run "rooms_tell_who_comes_and_goes_if_so_asked" {
  state_key = "presence"

  variables {
    presence_max_members    = 50
    presence_rooms          = ["lobby", "team-*"]
    presence_window_seconds = 3
  }

  assert {
    condition     = output.presence_queue_url != null && output.log_group_names["presence"] == "/aws/lambda/roomcast-presence"
    error_message = "queue and function exist"
  }

  assert {
    condition = local.presence_environment == tomap({
      ROOMCAST_PRESENCE_MAX_MEMBERS    = "50"
      ROOMCAST_PRESENCE_QUEUE_URL      = output.presence_queue_url
      ROOMCAST_PRESENCE_ROOMS          = "[\"lobby\",\"team-*\"]"
      ROOMCAST_PRESENCE_WINDOW_SECONDS = "3"
    })
    error_message = "functions know which rooms those are"
  }

  assert {
    condition = {
      for handler, policy in local.policies :
      handler => flatten([for statement in jsondecode(policy).Statement : statement.Action if contains(["MarkPresence", "ReadPresence", "ServeQueueAndMarkPresence"], statement.Sid)])
      if strcontains(policy, "UsePresenceKey")
      } == {
      connect     = ["sqs:SendMessage"]
      disconnect  = ["sqs:SendMessage"]
      join        = ["sqs:SendMessage"]
      leave       = ["sqs:SendMessage"]
      ping        = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem", "sqs:SendMessage"]
      presence    = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"]
      sendmessage = ["sqs:SendMessage"]
      who         = ["dynamodb:BatchGetItem", "sqs:SendMessage"]
    }
    error_message = "each function may do with them what its route needs"
  }
}

run "nothing_is_swept_by_default" {
  assert {
    condition     = length(aws_scheduler_schedule.sweeper) == 0 && length(aws_iam_role.schedule) == 0 && length(aws_iam_role_policy.schedule) == 0 && !contains(keys(module.handler), "sweeper") && output.sweeper_schedule_name == null
    error_message = "neither function nor schedule nor role exists"
  }

  assert {
    condition     = alltrue([for policy in values(local.policies) : !strcontains(policy, "dynamodb:Scan") && !strcontains(policy, "/GET/@connections/")])
    error_message = "no function may read the whole table or ask for connections"
  }
}

run "connections_are_counted_and_swept_if_so_asked" {
  state_key = "sweeper"

  variables {
    account_requests_per_second = 10000
    presence_rooms              = ["*"]
    sweeper                     = { enabled = true }
  }

  assert {
    condition     = local.own_environments["sweeper"] == merge(local.environment, { ROOMCAST_SWEEP_PACE = "500" })
    error_message = "it takes a twentieth of the account's requests"
  }

  assert {
    condition     = local.functions["sweeper"].timeout == 110 && output.sweeper_schedule_name == "roomcast-sweeper"
    error_message = "its run is shorter than its lease of 120 s"
  }

  assert {
    condition = jsondecode(local.policies["sweeper"]) == jsondecode(jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [
          {
            Sid      = "CountConnections"
            Effect   = "Allow"
            Action   = "dynamodb:Scan"
            Resource = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/roomcast-connections"
          },
          {
            Sid       = "KeepLeaseAndState"
            Effect    = "Allow"
            Action    = "dynamodb:PutItem"
            Resource  = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/roomcast-connections"
            Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["sweeper"] } }
          },
          {
            Sid      = "DeleteConnections"
            Effect   = "Allow"
            Action   = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
            Resource = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/roomcast-connections"
          },
        ],
        jsondecode("[${trimsuffix(local.mark_presence, ",")}]"),
        [
          {
            Sid      = "AskForConnections"
            Effect   = "Allow"
            Action   = "execute-api:ManageConnections"
            Resource = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5/live/GET/@connections/*"
          },
          local.use_table_key,
        ],
      )
    }))
    error_message = "it may do nothing else"
  }

  assert {
    condition = jsondecode(aws_iam_role.schedule[0].assume_role_policy) == jsondecode(jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Action    = "sts:AssumeRole"
        Effect    = "Allow"
        Principal = { Service = "scheduler.amazonaws.com" }
        Condition = { StringEquals = {
          "aws:SourceAccount" = "111122223333"
          "aws:SourceArn"     = "arn:aws-cn:scheduler:cn-north-1:111122223333:schedule-group/default"
        } }
      }]
      })) && jsondecode(aws_iam_role_policy.schedule[0].policy) == jsondecode(jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid      = "InvokeSweeper"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = aws_lambda_alias.readers["sweeper"].arn
      }]
    }))
    error_message = "the schedule may invoke the alias, and nothing else takes its role"
  }

  assert {
    condition     = aws_scheduler_schedule.sweeper[0].schedule_expression == "rate(5 minutes)" && aws_scheduler_schedule.sweeper[0].target[0].arn == aws_lambda_alias.readers["sweeper"].arn && aws_scheduler_schedule.sweeper[0].target[0].retry_policy[0].maximum_retry_attempts == 0
    error_message = "a run that failed is followed by the next one alone"
  }
}

run "connections_are_counted_alone_if_so_asked" {
  state_key = "census"

  variables {
    sweeper = { enabled = true, sweep = false }
  }

  assert {
    condition     = local.own_environments["sweeper"].ROOMCAST_SWEEP_PACE == "0" && [for statement in jsondecode(local.policies["sweeper"]).Statement : statement.Sid] == ["CountConnections", "KeepLeaseAndState", "UseTableKey"]
    error_message = "it may delete nothing"
  }
}

run "sweeper_that_outlasts_its_lease_is_refused" {
  command   = plan
  state_key = "census"

  variables {
    functions = { sweeper = { timeout = 111 } }
    sweeper   = { enabled = true }
  }

  expect_failures = [terraform_data.refusals]
}

run "nothing_is_queued_by_default" {
  assert {
    condition     = length(module.fanout_queue) == 0 && !contains(keys(module.handler), "fanout_worker") && output.fanout_queue_url == null && output.fanout_worker_function_arn == null
    error_message = "queue and worker do not exist"
  }

  assert {
    condition     = length(local.queue_environment) == 0
    error_message = "the functions know of no queue"
  }
}

run "messages_are_queued_if_so_asked" {
  variables {
    queued_delivery = {
      enabled = true
      fifo    = true
    }
  }

  assert {
    condition     = output.fanout_queue_url == "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/roomcast-fanout" && output.log_group_names["fanout_worker"] == "/aws/lambda/roomcast-fanout_worker"
    error_message = "queue and worker exist"
  }

  assert {
    condition     = local.queue_environment == tomap({ ROOMCAST_QUEUE_FIFO = "true", ROOMCAST_QUEUE_URL = output.fanout_queue_url })
    error_message = "sender and worker know the queue"
  }

  assert {
    condition = {
      for handler, policy in local.policies :
      handler => flatten([for statement in jsondecode(policy).Statement : statement.Action if can(regex(":sqs:", statement.Resource))])
      if strcontains(policy, "sqs:")
      } == {
      fanout_worker = [
        "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage",
        "sqs:ChangeMessageVisibility",
      ]
      sendmessage = ["sqs:SendMessage"]
    }
    error_message = "the sender may send and the worker may serve"
  }
}

# A state of its own, because the runs above have turned options on.
run "settings_of_a_function_stand_above_its_row" {
  command   = plan
  state_key = "functions"

  variables {
    function_defaults = { layers = ["arn:aws-cn:lambda:cn-north-1:111122223333:layer:agent:7"] }
    functions = {
      connect     = { memory_size = 512, provisioned_concurrency = 2, reserved_concurrency = 2 }
      whoami      = { snap_start = true }
      sendmessage = { timeout = 20, layers = ["arn:aws-cn:lambda:cn-north-1:111122223333:layer:other:1"] }
      kick        = null
    }
  }

  assert {
    condition     = local.functions["connect"].memory_size == 512 && local.functions["connect"].timeout == 10 && local.functions["connect"].reserved_concurrency == 2 && local.functions["sendmessage"].timeout == 20 && local.functions["sendmessage"].memory_size == 1024
    error_message = "what is not given stays"
  }

  assert {
    condition     = local.functions["sendmessage"].layers == tolist(["arn:aws-cn:lambda:cn-north-1:111122223333:layer:other:1"]) && local.functions["connect"].layers == tolist(["arn:aws-cn:lambda:cn-north-1:111122223333:layer:agent:7"]) && local.functions["whoami"].reserved_concurrency == null
    error_message = "defaults are for all others"
  }

  assert {
    condition = (
      keys(aws_lambda_provisioned_concurrency_config.this) == ["connect"]
      && aws_lambda_provisioned_concurrency_config.this["connect"].provisioned_concurrent_executions == 2
      && aws_lambda_provisioned_concurrency_config.this["connect"].qualifier == "live"
      && local.functions["whoami"].snap_start && !local.functions["connect"].snap_start
    )
    error_message = "environments are kept ready for the alias, and versions begin from snapshots, where the caller wants it"
  }
}

run "timeout_follows_to_the_queue" {
  command   = plan
  state_key = "functions"

  variables {
    functions       = { fanout_worker = { timeout = 50 } }
    queued_delivery = { enabled = true }
  }

  assert {
    condition     = local.functions["fanout_worker"].timeout == 50
    error_message = "the worker has its time, and the queue gives it six times as long"
  }
}

run "defaults_of_deprecated_variables_are_known" {
  command   = plan
  state_key = "functions"

  assert {
    condition     = alltrue([for each in local.superseded : each.value == each.default])
    error_message = "a deprecated variable with another default would count as set"
  }
}

run "a_deprecated_variable_may_say_the_same_as_functions" {
  command   = plan
  state_key = "functions"

  variables {
    functions               = { sendmessage = { memory_size = 1536 }, authorizer = null, fanout_worker = { timeout = 50 } }
    queued_delivery         = { enabled = true, worker_memory_size = 512 }
    sendmessage_memory_size = 1536
  }

  assert {
    condition     = local.functions["sendmessage"].memory_size == 1536 && local.functions["fanout_worker"].memory_size == 512 && local.functions["fanout_worker"].timeout == 50
    error_message = "each setting has the value that was given for it"
  }

  assert {
    condition = local.deprecated == [
      "queued_delivery.worker_memory_size by functions.fanout_worker.memory_size",
      "sendmessage_memory_size by functions.sendmessage.memory_size",
    ]
    error_message = "a warning names each deprecated variable that is set, and what takes its place"
  }

  expect_failures = [check.no_deprecated_variable_is_set]
}

run "a_plan_warns_of_no_deprecated_variable_that_is_not_set" {
  command   = plan
  state_key = "functions"

  variables {
    functions       = { sendmessage = { memory_size = 1536 }, fanout_worker = { memory_size = 512, timeout = 50 } }
    queued_delivery = { enabled = true }
  }

  assert {
    condition     = length(local.deprecated) == 0
    error_message = "settings in functions are no deprecated ones"
  }
}

run "two_memories_of_sendmessage_are_refused" {
  command   = plan
  state_key = "functions"

  variables {
    functions               = { sendmessage = { memory_size = 1769 } }
    sendmessage_memory_size = 1536
  }

  expect_failures = [check.no_deprecated_variable_is_set, terraform_data.refusals]
}

run "two_sets_of_values_for_worker_and_authorizer_are_refused" {
  command   = plan
  state_key = "functions"

  variables {
    authorizer_memory_size          = 768
    authorizer_reserved_concurrency = 20
    functions = {
      authorizer    = { memory_size = 1024, reserved_concurrency = 10 }
      fanout_worker = { memory_size = 1024, timeout = 41 }
    }
    queued_delivery = { enabled = true, worker_memory_size = 512, worker_timeout = 40 }
  }

  assert {
    condition = local.contradictions == [
      "functions.authorizer.memory_size and authorizer_memory_size",
      "functions.authorizer.reserved_concurrency and authorizer_reserved_concurrency",
      "functions.fanout_worker.memory_size and queued_delivery.worker_memory_size",
      "functions.fanout_worker.timeout and queued_delivery.worker_timeout",
    ]
    error_message = "the refusal names each pair"
  }

  expect_failures = [check.no_deprecated_variable_is_set, terraform_data.refusals]
}

run "settings_of_no_handler_are_refused" {
  command   = plan
  state_key = "functions"

  variables {
    functions = { send_message = { memory_size = 512 } }
  }

  expect_failures = [terraform_data.refusals]
}

run "timeout_beyond_api_gateways_is_refused" {
  command   = plan
  state_key = "functions"

  variables {
    functions = { sendmessage = { timeout = 28 } }
  }

  expect_failures = [terraform_data.refusals]
}

run "timeout_that_outlasts_the_memory_of_ids_is_refused" {
  command   = plan
  state_key = "functions"

  variables {
    functions       = { publish = { timeout = 31 } }
    publish_enabled = true
  }

  expect_failures = [terraform_data.refusals]
}

run "half_a_second_is_refused" {
  command   = plan
  state_key = "functions"

  variables {
    functions = { connect = { timeout = 5.5 } }
  }

  expect_failures = [var.functions]
}
