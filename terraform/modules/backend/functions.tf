# One table of all functions: those of the routes, and workers without a route.

locals {
  # A worker has no route. Its policy and code lie beside those of routes, under the worker's name.
  workers = {
    authorizer = {
      exists               = local.checks_tokens
      description          = "Checks the token of a client that connects."
      memory_size          = var.authorizer_memory_size
      reserved_concurrency = var.authorizer_reserved_concurrency
      timeout              = 8
    }
    fanout_worker = {
      exists      = local.queue_exists
      description = "Sends queued messages to the members of their rooms."
      memory_size = var.queued_delivery.worker_memory_size
      timeout     = var.queued_delivery.worker_timeout
    }
    presence = {
      exists      = local.presence_exists
      description = "Tells the members of a room who has come and gone."
      memory_size = 512
      timeout     = 20
    }
    kick = {
      exists             = local.kick_exists
      description        = "Throws out a client, for backends."
      invoker_principals = local.kick_principals
      memory_size        = 256
      timeout            = 60 # a connection that is still being made can be closed 30 s later
    }
    publish = {
      exists             = local.publish_exists
      description        = "Publishes messages of backends."
      invoker_principals = local.publish_invokers
      memory_size        = var.sendmessage_memory_size
      timeout            = local.publish_timeout
    }
    sweeper = {
      exists      = local.sweeper_exists
      description = "Counts the connections, and deletes items of those that do not exist."
      memory_size = 256
      timeout     = 110 # less than its lease
    }
  }

  rows = merge(
    { for route_key, route in local.routes : trimprefix(route_key, "$") => merge(route, { route_key = route_key }) },
    { for name, worker in local.workers : name => merge(worker, { route_key = null }) if worker.exists },
  )

  # The caller's settings of a function stand above those of its row and above the defaults.
  functions = {
    for name, row in local.rows : name => merge(row, {
      ephemeral_storage_size  = try(coalesce(var.functions[name].ephemeral_storage_size, var.function_defaults.ephemeral_storage_size), var.function_defaults.ephemeral_storage_size)
      layers                  = try(coalescelist(var.functions[name].layers, var.function_defaults.layers), var.function_defaults.layers)
      memory_size             = try(coalesce(var.functions[name].memory_size, row.memory_size), row.memory_size)
      provisioned_concurrency = try(var.functions[name].provisioned_concurrency, null)
      reserved_concurrency    = try(coalesce(var.functions[name].reserved_concurrency, row.reserved_concurrency), row.reserved_concurrency, var.functions[name].reserved_concurrency, null)
      snap_start              = try(coalesce(var.functions[name].snap_start, false), false)
      timeout                 = try(coalesce(var.functions[name].timeout, row.timeout), row.timeout)
    })
  }

  # Variables from before `functions`, which has such settings now. One with another value than its default was set.
  superseded = [
    { variable = "authorizer_memory_size", function = "authorizer", setting = "memory_size", value = var.authorizer_memory_size, default = 512 },
    { variable = "authorizer_reserved_concurrency", function = "authorizer", setting = "reserved_concurrency", value = var.authorizer_reserved_concurrency, default = null },
    { variable = "queued_delivery.worker_memory_size", function = "fanout_worker", setting = "memory_size", value = var.queued_delivery.worker_memory_size, default = 1769 },
    { variable = "queued_delivery.worker_timeout", function = "fanout_worker", setting = "timeout", value = var.queued_delivery.worker_timeout, default = 30 },
    { variable = "sendmessage_memory_size", function = "sendmessage", setting = "memory_size", value = var.sendmessage_memory_size, default = 1024 },
  ]

  # Names alone, which are shown even if the caller marks the variables as sensitive.
  deprecated = nonsensitive([
    for each in local.superseded : "${each.variable} by functions.${each.function}.${each.setting}"
    if each.value != each.default
  ])

  contradictions = nonsensitive([
    for each in local.superseded : "functions.${each.function}.${each.setting} and ${each.variable}"
    if each.value != each.default && try(var.functions[each.function][each.setting] != null && var.functions[each.function][each.setting] != each.value, false)
  ])

  # Seconds that a caller may give each function, from and to.
  timeouts = merge(
    # API Gateway waits 29 s at most, and an answer takes its time.
    { for route_key in keys(local.routes) : trimprefix(route_key, "$") => [1, 27] },
    {
      authorizer    = [1, 27]
      fanout_worker = [10, 900]
      kick          = [60, 900] # a connection that is still being made can be closed 30 s later
      presence      = [10, 900]
      publish       = [10, local.publish_timeout] # see there
      sweeper       = [90, 110]                   # it waits 20 s before it asks again; less than its lease
    },
  )

  # From the API's own endpoint, because data sources are unknown while the module waits for something by `depends_on`.
  # An emulator's API has a host of its own.
  dns_suffix = try(
    regex("\\.execute-api\\.[a-z0-9-]+\\.(.+)$", module.websocket_api.api_endpoint)[0],
    data.aws_partition.current.dns_suffix,
  )

  # Not from the client's host, because a custom domain has no such path.
  management_endpoint = replace(
    replace(
      coalesce(var.management_endpoint, "${replace(module.websocket_api.api_endpoint, "wss://", "https://")}/{stage_name}"),
      "{api_id}", module.websocket_api.api_id,
    ),
    "{stage_name}", var.stage_name,
  )

  environment = {
    ROOMCAST_AUTHORIZATION         = var.authorization_type
    ROOMCAST_BACKEND               = var.name
    ROOMCAST_CLIENT_LIMITS         = jsonencode(var.client_limits)
    ROOMCAST_DNS_SUFFIX            = local.dns_suffix
    ROOMCAST_HTTP2                 = tostring(var.http2)
    ROOMCAST_LOG_LEVEL             = var.log_level
    ROOMCAST_MANAGEMENT_ENDPOINT   = local.management_endpoint
    ROOMCAST_MAXIMUM_MESSAGE_BYTES = tostring(var.maximum_message_bytes)
    ROOMCAST_MAXIMUM_ROOM_MEMBERS  = tostring(coalesce(var.maximum_room_members, 0))
    ROOMCAST_MAXIMUM_ROOMS         = tostring(var.max_rooms_per_connection)
    ROOMCAST_MEMBERS_COUNTED_SINCE = var.maximum_room_members == null ? "" : terraform_data.members_counted.input
    ROOMCAST_MESSAGES_PER_SECOND   = tostring(coalesce(var.messages_per_second, 0))
    ROOMCAST_PACE                  = tostring(var.pace)
    ROOMCAST_SHARDS_PER_ROOM       = tostring(terraform_data.value_in_use["shards_per_room"].triggers_replace[0])
    ROOMCAST_SHARDS_READ           = tostring(terraform_data.value_in_use["shards_read"].triggers_replace[0])
    ROOMCAST_TABLE_NAME            = module.connections_table.table_name
    ROOMCAST_VERSION               = module.zips.version
  }

  # Of single functions, in place of the shared one.
  own_environments = {
    authorizer    = local.authorizer_environment
    connect       = merge(local.environment, local.users_environment)
    fanout_worker = merge(local.environment, local.queue_environment)
    join          = merge(local.environment, local.history_environment)
    ping          = merge(local.environment, local.history_environment)
    publish       = merge(local.environment, local.sender_environment, local.history_environment)
    sendmessage   = merge(local.environment, local.sender_environment, local.history_environment)
    sweeper       = merge(local.environment, local.sweeper_environment)
    whoami        = merge(local.environment, local.history_environment)
  }

  policy_values = {
    authorizer_rights     = local.authorizer_rights
    history_table_arn     = local.history_table_arn
    kick_exists           = local.kick_exists
    mark_presence         = local.mark_presence
    presence_queue_arn    = local.presence_queue_arn
    publish_queue_arn     = local.publish_queue_arn
    queue_arn             = local.queue_arn
    queue_is_fifo         = local.queue_is_fifo
    stage_execution_arn   = module.websocket_api.stage_execution_arn
    sweeps                = var.sweeper.sweep
    table_arn             = module.connections_table.table_arn
    use_history_key       = local.use_history_key
    use_presence_key      = local.use_presence_key
    use_publish_queue_key = local.use_publish_queue_key
    use_queue_key         = local.use_queue_key
    use_table_key         = jsonencode(local.use_table_key)
  }

  # Whatever key the table has, and for this table alone: a key that is set, changed or taken away needs no other right,
  # so that functions can read the table before, during and after the change.
  use_table_key = {
    Sid      = "UseTableKey"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:DescribeKey"]
    Resource = "*"
    Condition = {
      StringEquals         = { "kms:ViaService" = "dynamodb.${split(":", module.connections_table.table_arn)[3]}.${local.dns_suffix}" }
      StringEqualsIfExists = { "kms:EncryptionContext:aws:dynamodb:tableName" = module.connections_table.table_name }
    }
  }

  policies = {
    for name in keys(local.functions) :
    name => templatefile("${path.module}/policies/${name}.json.tftpl", local.policy_values)
  }
}

check "no_deprecated_variable_is_set" {
  assert {
    condition     = length(local.deprecated) == 0
    error_message = "Deprecated variables are set, which a later major version removes. Replace ${join(", ", local.deprecated)}. sendmessage_memory_size is the memory of publish, too."
  }
}

module "zips" {
  source = "../zips"

  architecture       = var.architecture
  bucket             = var.handlers_bucket
  directory          = var.handlers_directory
  handlers           = keys(local.functions)
  prefix             = var.name
  published_handlers = var.published_handlers
  sources_directory  = var.handler_sources_directory
}

module "handler" {
  source   = "../handler"
  for_each = local.functions # queued_delivery.enabled, authorization_type and what enables workers must be known at plan

  name                     = "${var.name}-${each.key}"
  architecture             = var.architecture
  code_signing_config_arn  = var.function_defaults.code_signing_config_arn
  description              = each.value.description
  environment              = merge(lookup(local.own_environments, each.key, local.environment), contains(local.presence_functions, each.key) ? local.presence_environment : {})
  ephemeral_storage_size   = each.value.ephemeral_storage_size
  filename                 = var.handlers_bucket == null && var.published_handlers == null ? lookup(module.zips.paths, each.key, null) : null
  handler                  = "${each.key}.handler"
  invoker_principals       = try(each.value.invoker_principals, [])
  kms_key_arn              = var.environment_kms_key_arn
  layers                   = each.value.layers
  log_format               = var.function_defaults.log_format
  log_kms_key_arn          = var.log_kms_key_arn
  log_retention_days       = var.log_retention_days
  memory_size              = each.value.memory_size
  permissions_boundary_arn = var.permissions_boundary_arn
  policy                   = local.policies[each.key]
  reserved_concurrency     = each.value.reserved_concurrency
  role_path                = var.function_defaults.role_path
  s3_bucket                = try(var.published_handlers.bucket, var.handlers_bucket)
  s3_key                   = lookup(module.zips.s3_keys, each.key, null)
  snap_start               = each.value.snap_start
  source_code_hash         = lookup(module.zips.hashes, each.key, null)
  code_revision            = var.code_revision
  tags                     = var.tags
  timeout                  = each.value.timeout
  tracing_mode             = var.function_defaults.tracing_mode
  vpc                      = var.function_defaults.vpc

  invoke_permissions = each.value.route_key == null ? {} : {
    (each.key) = "${module.websocket_api.stage_execution_arn}/${each.value.route_key}"
  }
}

# The worker had its own module call, and the zips belonged to the backend. The blocks stay for the whole major version,
# because users skip releases; UPGRADING.md has the way back.
moved {
  from = module.fanout_worker[0]
  to   = module.handler["fanout_worker"]
}

moved {
  from = terraform_data.build
  to   = module.zips.terraform_data.build
}

moved {
  from = aws_s3_object.zip
  to   = module.zips.aws_s3_object.zip
}
