# All objects that Terraform requests from AWS. `python -m scripts.terraform check` compares them with the table in
# scripts/asked_of_aws. Only values that AWS decides are overridden.

mock_provider "aws" {
  source = "./tests/whole/mocks"
}

# Every variable that is not deprecated differs from its default and from all other variables.
run "everything_on" {
  state_key = "everything_on"

  variables {
    access_log_enabled          = true
    account_concurrency         = 3000
    account_requests_per_second = 7500
    architecture                = "x86_64"
    authorization_type          = "AWS_IAM"
    client_limits               = { heartbeat = 60, heal = 1.5, spread = 90 }
    dashboard_enabled           = true
    default_endpoint_enabled    = false
    detailed_metrics_enabled    = true
    execution_logging_level     = "ERROR"
    ip_address_type             = "dualstack"
    environment_kms_key_arn     = "arn:aws-cn:kms:cn-north-1:111122223333:key/environment"
    max_rooms_per_connection    = 12
    maximum_message_bytes       = 32000
    maximum_room_members        = 300
    messages_per_second         = 2.5
    redeployment_triggers       = { theirs = "1" }
    handlers_bucket             = "zips"
    handlers_directory          = "../build/handlers"
    history_generation          = 3
    history_retention_minutes   = 90
    history_rooms               = ["lobby", "team-*"]
    http2                       = false
    kick_enabled                = true
    kick_principals             = ["arn:aws-cn:iam::444455556666:role/shop"]
    publish_enabled             = true
    publish_queue_enabled       = true
    publisher_principals        = ["444455556666", "arn:aws-cn:iam::444455556666:role/shop", "sns.amazonaws.com"]
    log_kms_key_arn             = "arn:aws-cn:kms:cn-north-1:111122223333:key/logs"
    log_level                   = "DEBUG"
    log_retention_days          = 7
    management_endpoint         = "https://ws.example.com/{api_id}/{stage_name}"
    name                        = "chat"
    pace                        = 2500.5
    saved_queries_enabled       = false
    permissions_boundary_arn    = "arn:aws-cn:iam::111122223333:policy/boundary"
    point_in_time_recovery      = false
    presence_max_members        = 60
    presence_rooms              = ["lobby", "desk-*"]
    presence_window_seconds     = 7
    queue_kms_key_arn           = "arn:aws-cn:kms:cn-north-1:111122223333:key/queue"
    shards_per_room             = 4
    shards_read                 = 6
    stage_name                  = "v2"
    sweeper                     = { enabled = true, share = 0.02 }
    table_deletion_protection   = true
    table_kms_key_arn           = "arn:aws-cn:kms:cn-north-1:111122223333:key/table"
    table_name                  = "members"
    tags                        = { team = "talkers" }
    throttling_burst_limit      = 21
    throttling_rate_limit       = 22.5

    alarms = {
      page_topic_arn   = "arn:aws-cn:sns:cn-north-1:111122223333:pages"
      runbook_url      = "https://runbooks.example.com/roomcast"
      thresholds       = { delivery-late = 9000.5, function-errors = 4, posts-failed = null, queue-age = 0 }
      ticket_topic_arn = "arn:aws-cn:sns:cn-north-1:111122223333:tickets"
    }

    additional_routes = {
      "plain" = {
        function_name = "plain"
        invoke_arn    = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:plain/invocations"
      }
      "search/room" = {
        function_name          = "search"
        invoke_arn             = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:search:live/invocations"
        throttling_burst_limit = 11
        throttling_rate_limit  = 12.5
        timeout_milliseconds   = 13000
      }
    }

    function_defaults = {
      code_signing_config_arn = "arn:aws-cn:lambda:cn-north-1:111122223333:code-signing-config:csc-0123456789abcdef0"
      ephemeral_storage_size  = 600
      layers                  = ["arn:aws-cn:lambda:cn-north-1:444455556666:layer:agent:7"]
      log_format              = "JSON"
      role_path               = "/platform/chat/"
      tracing_mode            = "Active"

      vpc = {
        subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
        security_group_ids = ["sg-0123456789abcdef0"]
        ipv6_allowed       = true
      }
    }

    functions = {
      connect       = { memory_size = 384 }
      default       = { timeout = 11 }
      disconnect    = { reserved_concurrency = 8 }
      fanout_worker = { memory_size = 512, reserved_concurrency = 9, timeout = 41 }
      presence      = { memory_size = 640, timeout = 21 }
      publish       = { memory_size = 1664, timeout = 29 }
      sendmessage   = { memory_size = 1536, provisioned_concurrency = 3 }
      sweeper       = { timeout = 100 }
      whoami        = { snap_start = true, ephemeral_storage_size = 512 }
      who           = { ephemeral_storage_size = 700, layers = ["arn:aws-cn:lambda:cn-north-1:444455556666:layer:other:8"] }
    }

    queued_delivery = {
      enabled             = true
      batch_size          = 3
      fifo                = true
      maximum_concurrency = 5
    }
  }
}

run "everything_off" {
  state_key = "everything_off"
}

run "keys_without_queue" {
  state_key = "keys_without_queue"

  variables {
    alarms                   = { page_topic_arn = "arn:aws-cn:sns:cn-north-1:111122223333:pages" }
    history_rooms            = ["*"]
    log_kms_key_arn          = "arn:aws-cn:kms:cn-north-1:111122223333:key/logs"
    permissions_boundary_arn = "arn:aws-cn:iam::111122223333:policy/boundary"
    presence_rooms           = ["*"]
    queue_kms_key_arn        = "arn:aws-cn:kms:cn-north-1:111122223333:key/queue"
    sweeper                  = { enabled = true, sweep = false }
    table_kms_key_arn        = "arn:aws-cn:kms:cn-north-1:111122223333:key/table"
  }
}

run "tokens_with_public_keys" {
  state_key = "tokens_with_public_keys"

  variables {
    authorization_type       = "JWT"
    authorizer_permission    = false # of a team's own authorizer alone
    functions                = { authorizer = { memory_size = 768, reserved_concurrency = 20 } }
    jwt_audience             = ["chat", "talk"]
    jwt_audience_claim       = "client_id"
    jwt_default_rooms        = ["lobby", "team-*"]
    jwt_issuer               = ["https://id.example.com/"]
    jwt_jwks_url             = "https://id.example.com/keys"
    jwt_max_lifetime_seconds = 900
    jwt_rooms_claim          = "groups"
    jwt_stale_keys_minutes   = 30
    jwt_subject_claim        = "username"
    jwt_token_from           = ["header"]
  }
}

run "tokens_with_a_secret" {
  state_key = "tokens_with_a_secret"

  variables {
    alarms                   = { page_topic_arn = "arn:aws-cn:sns:cn-north-1:111122223333:pages" }
    authorization_type       = "JWT"
    dashboard_enabled        = true
    environment_kms_key_arn  = "arn:aws-cn:kms:cn-north-1:111122223333:key/environment"
    jwt_audience             = ["chat"]
    jwt_issuer               = ["https://id.example.com/"]
    jwt_secret_arn           = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:chat-a1B2c3"
    log_kms_key_arn          = "arn:aws-cn:kms:cn-north-1:111122223333:key/logs"
    permissions_boundary_arn = "arn:aws-cn:iam::111122223333:policy/boundary"
  }
}

run "own_authorizer" {
  state_key = "own_authorizer"

  variables {
    access_log_enabled      = true
    authorization_type      = "CUSTOM"
    authorizer_function_arn = "arn:aws-cn:lambda:cn-north-1:111122223333:function:gate:live"
    dashboard_enabled       = true
  }
}

run "authorizer_of_another_account" {
  state_key = "authorizer_of_another_account"

  variables {
    authorization_type      = "CUSTOM"
    authorizer_function_arn = "arn:aws-cn:lambda:cn-north-1:444455556666:function:gate"
    authorizer_permission   = false
  }
}

run "existing_table" {
  state_key = "existing_table"

  variables {
    existing_table = { arn = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/mocked" }
  }
}

# A separate state, because the kind of an existing queue must not change.
run "standard_queue" {
  state_key = "standard_queue"

  variables {
    alarms            = { page_topic_arn = "arn:aws-cn:sns:cn-north-1:111122223333:pages" }
    dashboard_enabled = true
    queued_delivery   = { enabled = true }
  }
}

run "standard_queue_of_choice" {
  state_key = "standard_queue_of_choice"

  variables {
    queued_delivery = {
      enabled             = true
      batch_size          = 7
      maximum_concurrency = 6
    }

    functions = {
      fanout_worker = { memory_size = 1024, timeout = 45 }
    }
  }
}

# Both ends of each range reach AWS. Where there is no end, a number beyond all quotas stands for it.
run "largest_numbers" {
  state_key = "largest_numbers"

  variables {
    access_log_enabled          = true
    history_generation          = 1000000000
    history_retention_minutes   = 10080
    history_rooms               = ["a"]
    log_retention_days          = 3653
    pace                        = 1000000.5
    presence_max_members        = 500
    presence_rooms              = ["a"]
    presence_window_seconds     = 900
    sweeper                     = { enabled = true, share = 0.5 }
    account_requests_per_second = 1000000
    shards_per_room             = 100
    shards_read                 = 100
    throttling_burst_limit      = 1000000
    throttling_rate_limit       = 1000000.5

    additional_routes = {
      "plain" = {
        function_name          = "plain"
        invoke_arn             = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:plain/invocations"
        throttling_burst_limit = 2000000
        throttling_rate_limit  = 2000000.5
        timeout_milliseconds   = 29000
      }
    }

    queued_delivery = {
      enabled             = true
      batch_size          = 10
      maximum_concurrency = 1000
    }

    functions = {
      fanout_worker = { memory_size = 10240, timeout = 900 }
      sendmessage   = { memory_size = 10240 }
    }
  }
}

run "smallest_numbers" {
  state_key = "smallest_numbers"

  variables {
    access_log_enabled          = true
    history_retention_minutes   = 10
    history_rooms               = ["a"]
    log_retention_days          = 1
    pace                        = 0.001
    presence_max_members        = 1
    presence_rooms              = ["a"]
    sweeper                     = { enabled = true, share = 0.001 }
    account_requests_per_second = 1
    presence_window_seconds     = 1
    shards_per_room             = 1
    shards_read                 = 1
    throttling_burst_limit      = 1
    throttling_rate_limit       = 0.001

    additional_routes = {
      "plain" = {
        function_name          = "plain"
        invoke_arn             = "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/arn:aws-cn:lambda:cn-north-1:111122223333:function:plain/invocations"
        throttling_burst_limit = 1
        throttling_rate_limit  = 0.002
        timeout_milliseconds   = 50
      }
    }

    queued_delivery = {
      enabled             = true
      batch_size          = 1
      maximum_concurrency = 2
    }

    functions = {
      fanout_worker = { memory_size = 128, timeout = 10 }
      sendmessage   = { memory_size = 128 }
    }
  }
}
