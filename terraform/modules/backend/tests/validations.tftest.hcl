# One run per validation: a bad value is refused at plan.

mock_provider "aws" {}

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

run "allow_replacement_takes_variables_that_can_be_refused" {
  command = plan

  variables {
    allow_replacement = ["architecture"]
  }

  expect_failures = [var.allow_replacement]
}

run "code_revision_takes_no_spaces" {
  command = plan

  variables {
    code_revision = "once more"
  }

  expect_failures = [var.code_revision]
}

run "additional_routes_take_function_names_only" {
  command = plan

  variables {
    additional_routes = { "search" = { function_name = "search:live", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations" } }
  }

  expect_failures = [var.additional_routes]
}

run "additional_routes_take_invoke_arns_only" {
  command = plan

  variables {
    additional_routes = { "search" = { function_name = "search", invoke_arn = "arn:aws:lambda:eu-central-1:111122223333:function:search" } }
  }

  expect_failures = [var.additional_routes]
}

run "additional_routes_take_no_burst_limit_of_0" {
  command = plan

  variables {
    additional_routes = { "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations", throttling_burst_limit = 0 } }
  }

  expect_failures = [var.additional_routes]
}

run "additional_routes_take_no_key_of_the_backend" {
  command = plan

  variables {
    additional_routes = { "sendmessage" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations" } }
  }

  expect_failures = [var.additional_routes]
}

run "additional_routes_take_no_rate_limit_of_0" {
  command = plan

  variables {
    additional_routes = { "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations", throttling_rate_limit = 0 } }
  }

  expect_failures = [var.additional_routes]
}

run "additional_routes_wait_29_seconds_at_most" {
  command = plan

  variables {
    additional_routes = { "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations", timeout_milliseconds = 30000 } }
  }

  expect_failures = [var.additional_routes]
}

run "architecture_takes_what_lambda_offers" {
  command = plan

  variables {
    architecture = "riscv64"
  }

  expect_failures = [var.architecture]
}

run "handler_sources_directory_is_not_empty" {
  command = plan

  variables {
    handler_sources_directory = ""
  }

  expect_failures = [var.handler_sources_directory]
}

run "handlers_bucket_takes_bucket_names_only" {
  command = plan

  variables {
    handlers_bucket = "My_Zips"
  }

  expect_failures = [var.handlers_bucket]
}

run "published_handlers_name_a_region" {
  command = plan

  variables {
    published_handlers = { bucket = "zips", region = "somewhere" }
  }

  expect_failures = [var.published_handlers]
}

run "handlers_directory_is_not_empty" {
  command = plan

  variables {
    handlers_directory = ""
  }

  expect_failures = [var.handlers_directory]
}

run "log_kms_key_arn_takes_no_alias" {
  command = plan

  variables {
    log_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/key"
  }

  expect_failures = [var.log_kms_key_arn]
}

run "log_level_takes_what_the_functions_know" {
  command = plan

  variables {
    log_level = "TRACE"
  }

  expect_failures = [var.log_level]
}

run "log_retention_days_takes_what_cloudwatch_offers" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "management_endpoint_takes_no_other_placeholder" {
  command = plan

  variables {
    management_endpoint = "https://{domain}/{stage_name}"
  }

  expect_failures = [var.management_endpoint]
}

run "name_starts_with_a_letter" {
  command = plan

  variables {
    name = "1st"
  }

  expect_failures = [var.name]
}

run "account_concurrency_is_one_at_least" {
  command = plan

  variables {
    account_concurrency = 0
  }

  expect_failures = [var.account_concurrency]
}

run "account_requests_per_second_are_one_at_least" {
  command = plan

  variables {
    account_requests_per_second = 0.5
  }

  expect_failures = [var.account_requests_per_second]
}

run "sweeper_takes_no_more_than_half_of_the_requests" {
  command = plan

  variables {
    sweeper = { enabled = true, share = 0.6 }
  }

  expect_failures = [var.sweeper]
}

run "sweeper_takes_some_of_the_requests" {
  command = plan

  variables {
    sweeper = { enabled = true, share = 0 }
  }

  expect_failures = [var.sweeper]
}

run "pace_is_not_negative" {
  command = plan

  variables {
    pace = -1
  }

  expect_failures = [var.pace]
}

run "permissions_boundary_arn_is_a_policy" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:role/boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "queued_delivery_takes_10_seconds_at_least" {
  command = plan

  variables {
    queued_delivery = { enabled = true, worker_timeout = 5 }
  }

  expect_failures = [var.queued_delivery]
}

run "queued_delivery_takes_128_mb_at_least" {
  command = plan

  variables {
    queued_delivery = { enabled = true, worker_memory_size = 64 }
  }

  expect_failures = [var.queued_delivery]
}

run "queued_delivery_takes_batches_of_10_at_most" {
  command = plan

  variables {
    queued_delivery = { enabled = true, batch_size = 11 }
  }

  expect_failures = [var.queued_delivery]
}

run "queued_delivery_takes_two_workers_at_least" {
  command = plan

  variables {
    queued_delivery = { enabled = true, maximum_concurrency = 1 }
  }

  expect_failures = [var.queued_delivery]
}

run "shards_per_room_start_at_1" {
  command = plan

  variables {
    shards_per_room = 0
  }

  expect_failures = [var.shards_per_room]
}

run "stage_name_is_not_default" {
  command = plan

  variables {
    stage_name = "$default"
  }

  expect_failures = [var.stage_name]
}

run "table_kms_key_arn_takes_no_alias" {
  command = plan

  variables {
    table_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/key"
  }

  expect_failures = [var.table_kms_key_arn]
}

run "table_name_takes_dynamodb_names_only" {
  command = plan

  variables {
    table_name = "my connections"
  }

  expect_failures = [var.table_name]
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

run "authorization_type_takes_what_there_is" {
  command = plan

  variables {
    authorization_type = "TOKEN"
  }

  expect_failures = [var.authorization_type]
}

run "authorizer_of_ones_own_must_be_named" {
  command = plan

  variables {
    authorization_type = "CUSTOM"
  }

  expect_failures = [var.authorizer_function_arn]
}

run "authorizer_of_ones_own_must_be_used" {
  command = plan

  variables {
    authorizer_function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:gate"
  }

  expect_failures = [var.authorizer_function_arn]
}

run "authorizer_of_ones_own_is_a_function" {
  command = plan

  variables {
    authorization_type      = "CUSTOM"
    authorizer_function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:gate:$LATEST"
  }

  expect_failures = [var.authorizer_function_arn]
}

run "management_endpoint_is_sent_as_it_is_signed" {
  command = plan

  variables {
    management_endpoint = "https://ws.example.com/chat//v1"
  }

  expect_failures = [var.management_endpoint]
}

run "shards_read_end_at_100" {
  command = plan

  variables {
    shards_read = 101
  }

  expect_failures = [var.shards_read]
}

run "tags_are_50_at_most" {
  command = plan

  variables {
    tags = { for number in range(51) : "key${number}" => "value" }
  }

  expect_failures = [var.tags]
}

run "additional_routes_take_no_key_that_is_a_pattern" {
  command = plan

  variables {
    additional_routes = { "search*" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations" } }
  }

  expect_failures = [var.additional_routes]
}

run "additional_routes_take_the_functions_own_invoke_arn" {
  command = plan

  variables {
    additional_routes = { "search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:find/invocations" } }
  }

  expect_failures = [var.additional_routes]
}

run "additional_routes_take_no_reserved_key" {
  command = plan

  variables {
    additional_routes = { "$search" = { function_name = "search", invoke_arn = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-central-1:111122223333:function:search/invocations" } }
  }

  expect_failures = [var.additional_routes]
}

run "authorizer_memory_size_is_512_mb_at_least" {
  command = plan

  variables {
    authorizer_memory_size = 511
  }

  expect_failures = [var.authorizer_memory_size]
}

run "authorizer_reserved_concurrency_is_not_0" {
  command = plan

  variables {
    authorizer_reserved_concurrency = 0
  }

  expect_failures = [var.authorizer_reserved_concurrency]
}

run "environment_kms_key_arn_takes_no_alias" {
  command = plan

  variables {
    environment_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/chat"
  }

  expect_failures = [var.environment_kms_key_arn]
}

run "jwt_audience_is_not_empty" {
  command = plan

  variables {
    jwt_audience = [""]
  }

  expect_failures = [var.jwt_audience]
}

run "jwt_audience_claim_is_a_name" {
  command = plan

  variables {
    jwt_audience_claim = ""
  }

  expect_failures = [var.jwt_audience_claim]
}

run "jwt_default_rooms_end_with_the_star" {
  command = plan

  variables {
    jwt_default_rooms = ["team-*-a"]
  }

  expect_failures = [var.jwt_default_rooms]
}

run "jwt_issuer_is_not_empty" {
  command = plan

  variables {
    jwt_issuer = [""]
  }

  expect_failures = [var.jwt_issuer]
}

run "jwt_jwks_url_is_https" {
  command = plan

  variables {
    jwt_jwks_url = "http://id.example.com/keys"
  }

  expect_failures = [var.jwt_jwks_url]
}

run "jwt_jwks_url_has_no_user" {
  command = plan

  variables {
    jwt_jwks_url = "https://user@id.example.com/keys"
  }

  expect_failures = [var.jwt_jwks_url]
}

run "jwt_jwks_url_has_no_fragment" {
  command = plan

  variables {
    jwt_jwks_url = "https://id.example.com/keys#a"
  }

  expect_failures = [var.jwt_jwks_url]
}

run "jwt_jwks_url_is_not_on_a_host_that_begins_like_this_one" {
  command = plan

  variables {
    jwt_jwks_url = "http://localhost.example.com:80/keys"
  }

  expect_failures = [var.jwt_jwks_url]
}

run "jwt_max_lifetime_seconds_are_whole" {
  command = plan

  variables {
    jwt_max_lifetime_seconds = 1.5
  }

  expect_failures = [var.jwt_max_lifetime_seconds]
}

run "jwt_rooms_claim_is_a_name" {
  command = plan

  variables {
    jwt_rooms_claim = "my rooms"
  }

  expect_failures = [var.jwt_rooms_claim]
}

run "jwt_secret_arn_is_whole" {
  command = plan

  variables {
    jwt_secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:chat"
  }

  expect_failures = [var.jwt_secret_arn]
}

run "jwt_secret_arn_is_no_pattern" {
  command = plan

  variables {
    jwt_secret_arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:chat-*"
  }

  expect_failures = [var.jwt_secret_arn]
}

run "jwt_stale_keys_minutes_are_a_day_at_most" {
  command = plan

  variables {
    jwt_stale_keys_minutes = 1441
  }

  expect_failures = [var.jwt_stale_keys_minutes]
}

run "jwt_subject_claim_is_a_name" {
  command = plan

  variables {
    jwt_subject_claim = ""
  }

  expect_failures = [var.jwt_subject_claim]
}

run "jwt_token_from_is_not_empty" {
  command = plan

  variables {
    jwt_token_from = []
  }

  expect_failures = [var.jwt_token_from]
}

run "jwt_token_from_takes_no_cookie" {
  command = plan

  variables {
    jwt_token_from = ["header", "cookie"]
  }

  expect_failures = [var.jwt_token_from]
}

run "client_limits_have_a_heartbeat_of_8_minutes_at_most" {
  command = plan

  variables {
    client_limits = { heartbeat = 481 }
  }

  expect_failures = [var.client_limits]
}

run "client_limits_have_a_heal_of_half_a_second_at_least" {
  command = plan

  variables {
    client_limits = { heal = 0.4 }
  }

  expect_failures = [var.client_limits]
}

run "client_limits_have_a_spread_of_10_minutes_at_most" {
  command = plan

  variables {
    client_limits = { spread = 601 }
  }

  expect_failures = [var.client_limits]
}

run "history_generation_is_a_number" {
  command = plan

  variables {
    history_generation = 0
  }

  expect_failures = [var.history_generation]
}

run "history_retention_minutes_are_ten_at_least" {
  command = plan

  variables {
    history_retention_minutes = 9
  }

  expect_failures = [var.history_retention_minutes]
}

run "history_rooms_are_patterns" {
  command = plan

  variables {
    history_rooms = ["*a"]
  }

  expect_failures = [var.history_rooms]
}

run "presence_rooms_are_patterns" {
  command = plan

  variables {
    presence_rooms = ["*a"]
  }

  expect_failures = [var.presence_rooms]
}

run "presence_max_members_fit_into_one_item" {
  command = plan

  variables {
    presence_max_members = 501
  }

  expect_failures = [var.presence_max_members]
}

run "presence_window_seconds_are_one_at_least" {
  command = plan

  variables {
    presence_window_seconds = 0
  }

  expect_failures = [var.presence_window_seconds]
}

run "kick_principals_are_named" {
  command = plan

  variables {
    kick_principals = ["*"]
  }

  expect_failures = [var.kick_principals]
}

run "publisher_principals_are_named" {
  command = plan

  variables {
    publisher_principals = ["*"]
  }

  expect_failures = [var.publisher_principals]
}

run "max_rooms_per_connection_fit_into_one_transaction" {
  command = plan

  variables {
    max_rooms_per_connection = 41
  }

  expect_failures = [var.max_rooms_per_connection]
}

run "maximum_message_bytes_are_no_more_than_api_gateways" {
  command = plan

  variables {
    maximum_message_bytes = 131073
  }

  expect_failures = [var.maximum_message_bytes]
}

run "maximum_room_members_are_whole" {
  command = plan

  variables {
    maximum_room_members = 2.5
  }

  expect_failures = [var.maximum_room_members]
}

run "messages_per_second_are_not_0" {
  command = plan

  variables {
    messages_per_second = 0
  }

  expect_failures = [var.messages_per_second]
}

run "queue_kms_key_arn_takes_no_alias" {
  command = plan

  variables {
    queue_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/chat"
  }

  expect_failures = [var.queue_kms_key_arn]
}

run "no_more_environments_are_kept_ready_than_may_run" {
  command = plan

  variables {
    functions = { connect = { provisioned_concurrency = 3, reserved_concurrency = 2 } }
  }

  expect_failures = [terraform_data.refusals]
}

run "deprecated_concurrency_counts_too" {
  command = plan

  variables {
    authorization_type              = "JWT"
    authorizer_reserved_concurrency = 2
    functions                       = { authorizer = { provisioned_concurrency = 3 } }
    jwt_audience                    = ["chat"]
    jwt_issuer                      = ["https://id.example.com/"]
    jwt_jwks_url                    = "https://id.example.com/keys"
  }

  expect_failures = [terraform_data.refusals, check.no_deprecated_variable_is_set]
}

run "table_is_not_that_of_the_history" {
  command = plan

  variables {
    history_rooms = ["lobby"]
    table_name    = "roomcast-history"
  }

  expect_failures = [terraform_data.refusals]
}

run "snap_start_takes_no_more_than_512_mb_of_its_own" {
  command = plan

  variables {
    functions = { whoami = { ephemeral_storage_size = 513, snap_start = true } }
  }

  expect_failures = [var.functions]
}

run "snap_start_takes_no_more_than_512_mb_of_the_defaults" {
  command = plan

  variables {
    function_defaults = { ephemeral_storage_size = 1024 }
    functions         = { whoami = { snap_start = true } }
  }

  expect_failures = [var.functions]
}

run "snap_start_takes_512_mb_beside_larger_defaults" {
  command = plan

  variables {
    function_defaults = { ephemeral_storage_size = 1024 }
    functions         = { whoami = { ephemeral_storage_size = 512, snap_start = true } }
  }

  assert {
    condition     = local.functions["whoami"].snap_start && local.functions["whoami"].ephemeral_storage_size == 512 && local.functions["connect"].ephemeral_storage_size == 1024
    error_message = "a function's own size stands above that of the defaults"
  }
}
